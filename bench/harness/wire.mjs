// Speaks the protocol of a box as a program would that wants to be fast: many lines at once, answers counted.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { sleep } from './processes.mjs';

/** as a client passes it */
const env = Object.fromEntries(
  Array.from({ length: 30 }, (_, i) => [`VARIABLE_${i}`, `/some/value/of/usual/length/${i}`]),
);

export const jobOf = (tag, pool = 'q') => ({ pool, args: ['/bin/echo', 'some', 'file'], tags: [tag], env });

export const open = (port) =>
  new Promise((done, failed) => {
    const socket = connect(port, '127.0.0.1', () => done(socket));
    socket.once('error', failed);
  });

/** Resolves when `count` more lines have come. */
const lines = (socket, count) =>
  new Promise((done) => {
    let left = count;
    socket.on('data', function take(chunk) {
      for (const byte of chunk) if (byte === 10) left--;
      if (left > 0) return;
      socket.off('data', take);
      done();
    });
  });

/**
 * Submits over one connection, as fast as they are taken.
 * @param random whether each brings a random id along; else the box makes one
 * @returns how many a second until the last answer
 */
export async function submits(port, count, tag, { pool = 'q', random = false } = {}) {
  const socket = await open(port);
  const job = JSON.stringify(jobOf(tag, pool)).slice(1);
  const line = `[{"submit":{${job}}]\n`;
  const named = () => `[{"submit":{"id":"${randomUUID()}","key":"k",${job}}]\n`;
  const batch = (lines) => (random ? Array.from({ length: lines }, named).join('') : line.repeat(lines));
  const started = performance.now();
  const answered = lines(socket, count);
  for (let sent = 0; sent < count; sent += 1000)
    if (!socket.write(batch(Math.min(1000, count - sent)))) await once(socket, 'drain');
  await answered;
  socket.destroy();
  return (count / (performance.now() - started)) * 1000;
}

/** One request after the other on each of many connections. @returns answers a second, all together */
export async function concurrently(port, connections, each, request) {
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port)));
  const line = `${JSON.stringify([request])}\n`;
  const started = performance.now();
  await Promise.all(
    sockets.map(async (socket) => {
      for (let i = 0; i < each; i++) {
        const answered = lines(socket, 1);
        socket.write(line);
        await answered;
      }
      socket.destroy();
    }),
  );
  return ((connections * each) / (performance.now() - started)) * 1000;
}

/** One request, and its answer. */
export async function ask(port, request) {
  const socket = await open(port);
  let text = '';
  socket.end(`${JSON.stringify([request])}\n`);
  for await (const chunk of socket) text += chunk;
  return JSON.parse(text)[0];
}

/** Takes jobs out again, and waits until they are forgotten. */
export async function remove(port, tag) {
  const { ls: ids } = await ask(port, { ls: { tag } });
  await ask(port, { kill: { tag } });
  for (let i = 0; i < ids.length; i += 10_000)
    await ask(port, { release: { ids: ids.slice(i, i + 10_000) } });
  while ((await ask(port, { ls: { tag } })).ls.length > 0) await sleep(250);
}

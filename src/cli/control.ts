import { closeSync, constants, openSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { hasCode } from '../lib/errors.js';
import type { WatchStatus } from '../watch/watcher.js';

/** What a running watcher tells about itself. */
export interface ServiceStatus {
  readonly pid: number;
  /** seconds since the epoch */
  readonly started: number;
  readonly agent: string;
  /** why no job can be submitted or followed now */
  readonly agent_problem?: string;
  readonly files: readonly string[];
  readonly watches: readonly WatchStatus[];
}

export interface ControlHandlers {
  status(): ServiceStatus;
  rescan(): void;
}

const SOCKET = 'control.sock';
const LONGEST_REQUEST = 65_536;
const IDLE_MS = 10_000;
const ANSWER_MS = 5_000;

/** Answers `status` and `rescan`, one JSON line each, on a socket in the state directory (mode 0700: its owner only). */
export async function serveControl(
  directory: string,
  handlers: ControlHandlers,
): Promise<() => Promise<void>> {
  rmSync(join(directory, SOCKET), { force: true });
  const server = createServer((socket) => answer(socket, handlers));
  const directoryFd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  await listen(server, shortPath(directoryFd));
  return () =>
    new Promise((resolve) => {
      closeSync(directoryFd);
      rmSync(join(directory, SOCKET), { force: true });
      server.close(() => resolve());
    });
}

/** A socket's path may have 107 bytes only; through the directory's descriptor any directory fits (unix(7), proc(5)). */
const shortPath = (fd: number): string => `/proc/self/fd/${fd}/${SOCKET}`;

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // it is made before listen returns; the directory is closed to others, and so is the socket
    const before = process.umask(0o177);
    server.listen(path, () => resolve());
    process.umask(before);
    server.unref();
  });
}

function answer(socket: Socket, handlers: ControlHandlers): void {
  let size = 0;
  socket.setTimeout(IDLE_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > LONGEST_REQUEST) socket.destroy();
  });
  const lines = createInterface({ input: socket });
  // readline passes the socket's errors on
  lines.on('error', () => socket.destroy());
  lines.on('line', (line) => {
    if (socket.writable) socket.write(`${JSON.stringify(handle(line, handlers))}\n`);
  });
}

function handle(line: string, handlers: ControlHandlers): unknown {
  if (line.trim() === 'status') return handlers.status();
  if (line.trim() === 'rescan') {
    handlers.rescan();
    return {};
  }
  return { error: 'expected status or rescan' };
}

/** Asks the watcher that works on a state directory; undefined when none is running there. */
export async function askControl(directory: string, request: 'status' | 'rescan'): Promise<unknown> {
  let fd: number;
  try {
    fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch {
    return undefined;
  }
  try {
    return await ask(shortPath(fd), request);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ECONNREFUSED')) return undefined;
    throw error;
  } finally {
    closeSync(fd);
  }
}

function ask(path: string, request: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path, () => socket.write(`${request}\n`));
    let text = '';
    socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error('the watcher does not answer')));
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (!text.endsWith('\n')) return;
      socket.end();
      resolve(JSON.parse(text));
    });
    socket.on('error', reject);
    socket.on('end', () => reject(new Error('the watcher ended the connection without an answer')));
  });
}

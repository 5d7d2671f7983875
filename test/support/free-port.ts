import { createServer } from 'node:net';

/**
 * A port of this machine that nobody listens at now, or the first of several. Not one of those that the kernel gives by
 * itself (net.ipv4.ip_local_port_range, from 32768): while a server restarts it would give that to somebody else.
 */
export async function freePort(count = 1): Promise<number> {
  for (;;) {
    const first = 15_000 + Math.floor(Math.random() * 15_000);
    const free = await Promise.all(Array.from({ length: count }, (_, i) => isFree(first + i)));
    if (free.every(Boolean)) return first;
  }
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((done) => {
    const server = createServer().once('error', () => done(false));
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });

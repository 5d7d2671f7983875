import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

export interface OldProtocol {
  readonly port: number;
  /** names of the requests that came */
  readonly requests: string[];
  close(): void;
}

/**
 * A way to a box that does not know `hello`: to its clients the box is one of protocol 1. Or to one that does not know
 * another request.
 */
export async function oldProtocol(boxPort: number, unknown = 'hello'): Promise<OldProtocol> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const box = connect(boxPort, '127.0.0.1');
    for (const [socket, other] of [
      [client, box],
      [box, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    box.pipe(client);
    const lines = createInterface({ input: client });
    lines.on('error', () => client.destroy());
    lines.on('line', (line) => {
      const names = line === '' ? [] : ([JSON.parse(line)].flat() as object[]).flatMap(Object.keys);
      requests.push(...names);
      if (names.includes(unknown)) client.write('[{}]\n');
      else box.write(`${line}\n`);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

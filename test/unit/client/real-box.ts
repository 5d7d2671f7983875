import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { connect } from '../../../src/client/client.js';
import type { ConnectOptions } from '../../../src/client/options.js';

/** Built by `npm test`; MEESEEKS_TEST_DIST names another build. */
export const dist = process.env['MEESEEKS_TEST_DIST'] ?? resolve(import.meta.dirname, '../../../dist');
export const clientProgram = join(dist, 'bin/meeseeks-client.js');

/** A meeseeks-box process with its state in a temporary directory. */
export class RealBox {
  readonly directory = mkdtempSync(join(tmpdir(), 'meeseeks-client-box-'));
  port = 0;
  #child: ChildProcess | undefined;

  static async start(...settings: string[]): Promise<RealBox> {
    const box = new RealBox();
    await box.start(...settings);
    return box;
  }

  /** Starts it, again on the same port and state when it ran before. */
  async start(...settings: string[]): Promise<void> {
    const args = [
      `listen.port=${this.port}`,
      `state_dir=${join(this.directory, 'state')}`,
      'name=n1',
      'pools.q1.slots=4',
    ];
    const child = spawn(
      process.execPath,
      [join(dist, 'bin/meeseeks-box.js'), '--log-format', 'json', ...args, ...settings],
      {
        cwd: this.directory,
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    this.#child = child;
    const said: string[] = [];
    for await (const line of createInterface({ input: child.stderr })) {
      said.push(line);
      const { ports } = JSON.parse(line) as { ports?: (number | null)[] };
      if (ports === undefined) continue;
      this.port = ports[0] ?? 0;
      child.stderr.resume();
      return;
    }
    throw new Error(`meeseeks-box did not start:\n${said.join('\n')}`);
  }

  get where(): ConnectOptions {
    return { address: '127.0.0.1', port: this.port };
  }

  /** Stops the agent only; its jobs go on. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  /** Ends its jobs, then itself, then its files. */
  async remove(options: ConnectOptions = this.where): Promise<void> {
    const agent = await connect({ ...options, patience: 5 });
    const live = [...(await agent.ids({ state: 'running' })), ...(await agent.ids({ state: 'new' }))];
    await agent.kill(live);
    await Promise.all(live.map((id) => agent.wait(id)));
    agent.close();
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

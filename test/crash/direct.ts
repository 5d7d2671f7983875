import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../src/client/client.js';
import type { Client } from '../../src/client/api.js';
import { EPOCH } from './evidence.js';
import { Random } from './random.js';
import { slots, type World } from './world.js';

/** Keeps jobs of its own coming at an agent on a socket, kills some, and writes down what was acknowledged. */
export class DirectSubmitter {
  readonly acknowledged: string[] = [];
  readonly kills: { job: string; at: number }[] = [];
  readonly #random: Random;
  #count = 0;
  #running = true;
  #client: Client | undefined;

  constructor(
    private readonly world: World,
    seed: number,
  ) {
    this.#random = new Random(seed ^ 0xd1ec7);
    writeFileSync(world.path('direct'), '0 0 60 deaf\n\nend 0\n');
  }

  /** Until `stop`. A submit that was not acknowledged is nobody's promise. */
  async run(): Promise<void> {
    while (this.#running) {
      await sleep(this.#random.between(20, 400));
      try {
        await this.once();
      } catch {
        this.#client?.close();
        this.#client = undefined;
      }
    }
    this.#client?.close();
  }

  stop(): void {
    this.#running = false;
  }

  /** Jobs that are queued or running, of everybody. */
  async inFlight(): Promise<number> {
    const client = await connect({ address: this.world.socket, patience: 0, timeout: 3 });
    try {
      const lists = await Promise.all([client.ids({ state: 'new' }), client.ids({ state: 'running' })]);
      return lists.flat().length;
    } finally {
      client.close();
    }
  }

  private async once(): Promise<void> {
    this.#client ??= await connect({ address: this.world.socket, patience: 2, timeout: 3 });
    const serial = ++this.#count;
    const id = `direct-${serial}`;
    const env = { LOG: this.world.runLog, LOCKS: this.world.path('locks'), FIFO: this.world.path('fifo') };
    const args = ['direct', '0', `${EPOCH + serial}`, '1', this.world.path('direct')];
    const job = {
      id,
      key: id,
      pool: slots.direct.pool,
      args: ['bash', this.world.path('job.bash'), ...args],
      env,
    };
    const kill = this.#random.chance(0.25);
    await this.#client.submit({ ...job, kill_grace: 0.2 });
    this.acknowledged.push(id);
    if (!kill) return;
    await sleep(this.#random.between(0, 150));
    await this.#client.kill(id);
    this.kills.push({ job: id, at: Date.now() / 1000 });
  }
}

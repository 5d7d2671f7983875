import { appendFileSync } from 'node:fs';
import type { JobRecord } from '../../agent/types.js';
import { describeError } from '../../lib/errors.js';
import type { Log } from '../../lib/log.js';

/** Appends every finished job to `state.history`, one JSON line each, without its environment. */
export class History {
  private failing = false;

  constructor(
    private readonly path: () => string | undefined,
    private readonly log: Log,
  ) {}

  add(record: JobRecord): void {
    const path = this.path();
    if (path === undefined) return;
    const { spec, wire: _wire, env: _env, owner: _owner, ...rest } = record;
    const { env: _private, ...shown } = spec;
    try {
      appendFileSync(path, `${JSON.stringify({ ...shown, ...rest })}\n`, { mode: 0o600 });
      this.failing = false;
    } catch (error) {
      if (!this.failing)
        this.log.error({ err: error }, `cannot write the history to ${path}: ${describeError(error)}`);
      this.failing = true;
    }
  }
}

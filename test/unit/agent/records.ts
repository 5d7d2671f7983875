import type { JobRecord } from '../../../src/agent/types.js';
import type { JobSpec } from '../../../src/protocol/job.js';

/** A queued job; tests say what differs. */
export const record = (changes: Partial<JobRecord> = {}, spec: Partial<JobSpec> = {}): JobRecord => ({
  id: 'j',
  key: 'k',
  spec: { pool: 'p', args: ['true'], ...spec },
  state: 'new',
  seq: 1,
  ts: 100,
  submit_ts: 100,
  order: 1,
  run: 0,
  start_count: 0,
  fail_count: 0,
  failures: 0,
  quick: 0,
  ...changes,
});

import type { Handler } from '../service.js';
import { config } from './config.js';
import { get } from './get.js';
import { hello } from './hello.js';
import { job, query } from './job.js';
import { kill } from './kill.js';
import { ls } from './ls.js';
import { modify } from './modify.js';
import { nodes } from './nodes.js';
import { output } from './output.js';
import { pools } from './pools.js';
import { release } from './release.js';
import { stat } from './stat.js';
import { status } from './status.js';
import { submit } from './submit.js';
import { sync } from './sync.js';
import { watch } from './watch.js';

/** Every request of the protocol, in both spellings. */
export const handlers: ReadonlyMap<string, Handler> = new Map(
  // as the document has them, those of later releases, and ours
  Object.entries({
    status,
    submit,
    query,
    kill,
    config,
    get,
    job,
    ls,
    nodes,
    pools,
    sync,
    modify,
    hello,
    watch,
    release,
    output,
    stat,
  }),
);

/**
 * The client library of meeseeks: `import { connect } from "meeseeks"`. See docs/client.md.
 *
 * @packageDocumentation
 */
export { connect } from './client/client.js';
export { ClientError, type ClientErrorCode } from './client/errors.js';
export type { ConnectOptions, SslOptions } from './client/options.js';
export type {
  Change,
  Changes,
  Client,
  Filter,
  JobCount,
  Node,
  Output,
  Pools,
  Submission,
  Summary,
} from './client/api.js';
export type { Greeting } from './client/hello.js';
export type { Job, JobReason, JobSpec, JobState } from './protocol/job.js';

import { readPart } from '../../agent/spool.js';
import { wireOutput } from '../../protocol/wire.js';
import { RequestError, parseArgument } from '../errors.js';
import type { Handler } from '../service.js';

const DEFAULT_BYTES = 64 * 1024;
/** More is read in several requests. */
const MOST_BYTES = 1024 * 1024;

/**
 * `output`: a part of what a job writes, while it runs and afterwards: up to `limit` bytes of `stream` from `offset` on,
 * as base64, and how many there are so far (`size`). `run` counts the starts of the job, each writes anew: with another
 * `run` than the last one the part starts at 0. null: there is no such job.
 * @throws RequestError when the job's spec sends the stream to a file of its own: that is not the agent's to read
 */
export const output: Handler = (argument, { service }) => {
  const {
    id,
    stream = 'stdout',
    offset = 0,
    limit = DEFAULT_BYTES,
    run,
  } = parseArgument(wireOutput, typeof argument === 'string' ? { id: argument } : argument, 'output');
  const record = service.core.find(id);
  if (record === undefined) return null;
  if (record.spec[stream] !== undefined)
    throw new RequestError(`output: ${stream} of this job goes to a file, see ${stream}_path`);
  const start = run === undefined || run === record.run ? offset : 0;
  const path = service.core.spool.file(id, record.run, stream);
  const part = record.run === 0 ? { size: 0, data: '' } : readPart(path, start, Math.min(limit, MOST_BYTES));
  return { id, stream, run: record.run, offset: start, ...part };
};

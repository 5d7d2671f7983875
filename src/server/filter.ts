import type { JobRecord } from '../agent/types.js';
import type { WireFilter } from '../protocol/wire.js';
import { ownUser } from './identity.js';
import { isActive, wireNode, wireState } from './job-view.js';
import type { ViewContext } from './job-view.js';

/** A filter as a question about one job. */
export type Matcher = (record: JobRecord) => boolean;

/**
 * What a filter asks of a job: `ids`; `tag`, any of the tags; `ts` and `seq`, changed after; any other key, the
 * attribute of that name. A trailing `*` matches the rest, a list any of its items. Pure.
 */
export function matcher(filter: WireFilter, context: ViewContext): Matcher {
  const { ids, tag, ts, seq, ...others } = filter;
  const tests: Matcher[] = [];
  if (ids !== undefined) {
    const wanted = new Set(ids);
    tests.push((record) => wanted.has(record.id));
  }
  if (tag !== undefined) {
    const isWanted = pattern(tag);
    tests.push((record) => (record.spec.tags ?? []).some(isWanted));
  }
  if (ts !== undefined) tests.push((record) => record.ts > ts);
  if (seq !== undefined) tests.push((record) => record.seq > seq);
  for (const [key, wanted] of Object.entries(others)) {
    if (wanted === undefined || wanted === null) continue;
    const isWanted = pattern(wanted);
    tests.push((record) => isWanted(attribute(record, key, context)));
  }
  return (record) => tests.every((test) => test(record));
}

/**
 * A text that the record of every job has which a filter means, as JSON, where its `tag` tells one: the others need not
 * be parsed. Only plain characters, which JSON writes as they are, and neither 0 nor 1, which may stand for true.
 */
export function textInRecords({ tag }: WireFilter): string | undefined {
  if (typeof tag !== 'string') return undefined;
  const text = tag.endsWith('*') ? tag.slice(0, -1) : tag;
  return /^[\w./@:-]+$/.test(text) && text !== '0' && text !== '1' ? text : undefined;
}

/** True for a filter that says nothing at all: `kill` takes it for no job, `get` for all. */
export const isEmptyFilter = (filter: WireFilter): boolean =>
  Object.values(filter).every((value) => value === undefined || value === null);

function pattern(wanted: unknown): (value: unknown) => boolean {
  if (Array.isArray(wanted)) {
    const any = wanted.map(pattern);
    return (value) => any.some((one) => one(value));
  }
  const text = plain(wanted);
  if (text.endsWith('*')) {
    const start = text.slice(0, -1);
    return (value) => plain(value).startsWith(start);
  }
  return (value) => plain(value) === text;
}

/** 1 and true are one and the same on this wire. */
const plain = (value: unknown): string => {
  if (value === true) return '1';
  if (value === false) return '0';
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
};

function attribute(record: JobRecord, key: string, context: ViewContext): unknown {
  if (key === 'node' || key === 'submit_node') return wireNode(record, context.node);
  if (key === 'state') return wireState(record);
  if (key === 'active') return isActive(record, context);
  if (record.wire !== undefined && Object.hasOwn(record.wire, key)) return record.wire[key];
  if (key === 'env') return undefined;
  if (key === 'uid') return ownUser();
  if (Object.hasOwn(record.spec, key)) return record.spec[key as keyof JobRecord['spec']];
  if (flags.has(key)) return false;
  return publicKeys.has(key) ? record[key as keyof JobRecord] : undefined;
}

const flags = new Set(['hold', 'restart', 'resubmit']);
const publicKeys = new Set(
  'id submit_ts start_ts end_ts start_count fail_count rc signal reason error pid key'.split(' '),
);

import { resolve as resolvePath } from 'node:path';
import type { z } from 'zod';
import type { ExpandedWatch } from './expand.js';
import { filesetOf } from './fileset.js';
import { fileLists } from './lists.js';
import {
  DEFAULT_LEASE,
  watchSchema,
  type JobStep,
  type JobTemplate,
  type WatchDefinition,
} from './schema.js';
import { toPlain } from './tree.js';

type Watch = z.infer<typeof watchSchema>;

/**
 * A validated watch with every default filled in and every alias resolved. Relative paths start at `cwd`.
 * @throws ZodError for a watch that validation would have refused
 */
export function defineWatch({ name, tree }: ExpandedWatch, cwd: string): WatchDefinition {
  const watch = watchSchema.parse(toPlain(tree));
  const lists = fileLists(tree);
  const fileset = filesetOf(tree);
  const path = watch.path === undefined ? undefined : resolvePath(cwd, watch.path);
  const ready = watch.ready ?? {};
  return {
    name,
    path,
    lists,
    exclude: listOf(watch.exclude),
    recursive: Boolean(watch.recursive),
    type: watch.type,
    reverse: Boolean(watch.reverse),
    split: watch.split,
    fileset: fileset === undefined ? undefined : watch[fileset.key],
    leastLists: leastLists(watch.partial, lists.length),
    skip: watch.skip,
    updated: Boolean(watch.updated),
    retries: watch.retry ? (watch.retries ?? Infinity) : 0,
    retryDelay: watch.retry_delay,
    retryMaxDelay: watch.retry_max_delay,
    runAll: Boolean(watch.run_all),
    minAge: watch.min_age,
    maxAge: watch.max_age,
    maxIndex: watch.max_index,
    maxJobs: watch.max_jobs,
    count: watch.count,
    refresh: watch.refresh,
    rescan: watch.rescan,
    cleanup: Boolean(watch.cleanup),
    ready: {
      stable: ready.stable,
      sentinel: ready.sentinel,
      check: ready.check,
      closed: Boolean(ready.closed ?? true),
    },
    statePath: watch.state_path === undefined ? undefined : resolvePath(cwd, watch.state_path),
    store: watch.store,
    lease: leaseSeconds(watch.lease),
    events: Boolean(watch.events),
    steps: (watch.jobs ?? []).map(toStep),
    keys: placeholderKeys(watch, path),
  };
}

const listOf = (value: string | readonly string[] | undefined): readonly string[] =>
  value === undefined ? [] : typeof value === 'string' ? [value] : value;

function leaseSeconds(lease: Watch['lease']): number | 'auto' {
  if (typeof lease === 'boolean') return lease ? DEFAULT_LEASE : 0;
  return lease ?? 'auto';
}

function leastLists(partial: Watch['partial'], lists: number): number {
  if (partial === true) return Math.min(1, lists);
  return partial === false || partial === 0 ? lists : partial;
}

type Spec = JobTemplate | Record<string, never> | null;

function toStep(entry: Spec | Spec[]): JobStep {
  return Array.isArray(entry)
    ? { kind: 'lists', specs: entry.map(toSpec) }
    : { kind: 'single', spec: toSpec(entry) };
}

const toSpec = (spec: Spec): JobTemplate | null =>
  spec !== null && 'pool' in spec ? (spec as JobTemplate) : null;

/** The keys for %(key)s, without a prototype: a placeholder named like a method of Object finds nothing. */
function placeholderKeys(watch: Watch, path: string | undefined): Readonly<Record<string, unknown>> {
  const keys = Object.assign(Object.create(null) as Record<string, unknown>, watch);
  if (path !== undefined) keys['path'] = path;
  return keys;
}

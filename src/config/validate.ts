import type { ExpandedWatch } from './expand.js';
import { check } from './check.js';
import { checkFileset } from './fileset.js';
import { checkLists, fileLists } from './lists.js';
import { checkMarkers, checkNames } from './names.js';
import { suggest } from './nearest.js';
import { checkCaptureNames, checkPlaceholders } from './placeholder-check.js';
import { absentAt, certain, errorAt, warningAt, type Path, type Problem } from './problem.js';
import { clientSchema, jobTemplate, poolSchema, watchSchema } from './schema.js';
import { isMap, isNull, valueOf, type Location, type Mapping, type Tree } from './tree.js';

/**
 * Everything that can be wrong with the watches, all at once (contract, "Configuration"). Relative paths start
 * at `cwd`.
 */
export function validateWatches(
  watches: readonly ExpandedWatch[],
  defaults: Mapping,
  cwd: string,
  templates: readonly string[] = [],
): Problem[] {
  const unknown = new UnknownKeys(defaults);
  const problems = watches.flatMap((watch) => validateWatch(watch, unknown, templates));
  return [...checkNames(watches), ...problems, ...checkMarkers(watches, cwd), ...unknown.problems()];
}

function validateWatch(
  { tree, path, at, complete }: ExpandedWatch,
  unknown: UnknownKeys,
  templates: readonly string[],
): Problem[] {
  const placeholders = checkPlaceholders(tree, path);
  if (complete) unknown.visit(tree, path, placeholders.used);
  const problems = [
    ...check(watchWithoutJobs, tree, path),
    ...checkRequired(tree, path, at, templates),
    ...checkPath(tree, path),
    ...checkJobs(tree, path),
    ...checkLists(tree, path),
    ...checkFileset(tree, path),
    ...checkStore(tree, path),
    ...checkCaptureNames(tree, path),
    ...placeholders.problems,
  ];
  return complete ? problems : certain(problems);
}

// job specs are checked one by one, for better messages than "none of three alternatives"
const watchWithoutJobs = watchSchema.omit({ jobs: true });

/** The likely mistake of a newcomer: templates are there, and nothing applies them. */
const applyHint = (templates: readonly string[]): string | undefined =>
  templates.length === 0
    ? undefined
    : `or apply a template: apply=${templates[0]!} (defined: ${templates.join(', ')})`;

/** Nothing here expands what a shell would. */
function checkPath(tree: Mapping, path: Path): Problem[] {
  const value = valueOf(tree, 'path');
  if (value?.kind !== 'scalar' || typeof value.value !== 'string') return [];
  const odd = /^~|\$\{?\w|[*?]/.exec(value.value)?.[0];
  if (odd === undefined) return [];
  const hint = odd === '*' || odd === '?' ? 'patterns belong in glob' : 'write the directory out';
  return [warningAt(value.at, [...path, 'path'], `${odd} is taken literally: this is no shell`, hint)];
}

function checkRequired(tree: Mapping, path: Path, at: Location, templates: readonly string[]): Problem[] {
  const problems: Problem[] = [];
  const hasLists = fileLists(tree).length > 0;
  if (hasLists && valueOf(tree, 'path') === undefined) {
    const hint = 'add "path" to the watch or to a template';
    problems.push(absentAt(at, [...path, 'path'], 'missing; expected the directory to watch', hint));
  }
  if (valueOf(tree, 'jobs') === undefined) {
    const hint = [
      'add "jobs" to the watch or to a template',
      applyHint(valueOf(tree, 'template') === undefined ? templates : []),
    ]
      .filter((part) => part !== undefined)
      .join('; ');
    problems.push(absentAt(at, [...path, 'jobs'], 'missing; expected a list of job specs', hint));
  }
  return problems;
}

/** The other stores of the contract have their port (watch/record-store.ts) and no implementation yet. */
function checkStore(tree: Mapping, path: Path): Problem[] {
  const store = valueOf(tree, 'store');
  if (store?.kind !== 'scalar' || (store.value !== 'sqlite' && store.value !== 'xattr')) return [];
  const hint = 'leave it out to record results in marker files; state_path keeps them away from the data';
  return [errorAt(store.at, [...path, 'store'], `${store.value} cannot be used yet`, hint)];
}

function checkJobs(tree: Mapping, path: Path): Problem[] {
  const jobs = valueOf(tree, 'jobs');
  if (jobs === undefined) return [];
  const base = [...path, 'jobs'];
  if (jobs.kind !== 'list') {
    const hint = jobs.kind === 'map' ? 'put it in a list: [ ... ]' : undefined;
    return [errorAt(jobs.at, base, `expected a list of job specs, found ${kindOf(jobs)}`, hint)];
  }
  if (jobs.items.length === 0) {
    return [errorAt(jobs.at, base, 'expected a list of job specs, found an empty list', 'add a job spec')];
  }
  return jobs.items.flatMap((entry, index) => checkEntry(entry, [...base, index]));
}

function checkEntry(entry: Tree, path: Path): Problem[] {
  if (entry.kind !== 'list') return checkSpec(entry, path);
  if (entry.items.length === 0) {
    return [errorAt(entry.at, path, 'expected a job spec for each list, found an empty list', 'write {}')];
  }
  return entry.items.flatMap((spec, index) => checkSpec(spec, [...path, index]));
}

function checkSpec(spec: Tree, path: Path): Problem[] {
  if (isNull(spec) || (isMap(spec) && spec.entries.size === 0)) return [];
  if (isMap(spec)) return check(jobTemplate, spec, path);
  const found = kindOf(spec);
  return [
    errorAt(spec.at, path, `expected a job spec, found ${found}`, 'write {"pool": ..., "args": [...]}'),
  ];
}

const kindOf = (tree: Tree): string =>
  ({ map: 'a mapping', list: 'a list', scalar: isNull(tree) ? 'null' : 'a single value' })[tree.kind];

/** Keys that the schema does not know are fine where a placeholder uses them; a template's in any watch. */
class UnknownKeys {
  readonly #found = new Map<string, { at: Location; key: string; path: Path; used: boolean }>();
  readonly #elsewhere: ReadonlySet<string>;

  constructor(readonly defaults: Mapping) {
    this.#elsewhere = new Set([...Object.keys(clientSchema.shape), ...Object.keys(poolSchema.shape)]);
    for (const [key, { at }] of defaults.entries) this.#note(key, at, ['defaults', key], false);
  }

  visit(tree: Mapping, path: Path, used: ReadonlySet<string>): void {
    for (const [key, { at }] of tree.entries) this.#note(key, at, [...path, key], used.has(key));
  }

  #note(key: string, at: Location, path: Path, used: boolean): void {
    if (Object.hasOwn(watchSchema.shape, key)) return;
    if (this.#isDefault(key, at) && this.#elsewhere.has(key)) return;
    const place = JSON.stringify([at, key]);
    const known = this.#found.get(place);
    if (known === undefined) this.#found.set(place, { at, key, path, used });
    else known.used ||= used;
  }

  #isDefault(key: string, at: Location): boolean {
    return this.defaults.entries.get(key)?.at === at;
  }

  problems(): Problem[] {
    return [...this.#found.values()]
      .filter(({ used }) => !used)
      .map(({ key, at, path }) => {
        if (key === 'plugin') return warningAt(at, path, 'plugin does nothing here', 'remove it');
        // jobs that run on another agent than meant do harm
        if (key === 'client')
          return errorAt(
            at,
            path,
            'belongs at the top level of the configuration',
            'move client out of here',
          );
        const near = suggest(key, Object.keys(watchSchema.shape));
        const hint = near?.startsWith('did you mean') === true ? near : 'remove it';
        return warningAt(at, path, 'nothing knows this key and no placeholder uses it', hint);
      });
  }
}

/** An absent or empty `watch` section: nothing would ever run. */
export function checkAnyWatch(root: Mapping, section: Mapping): Problem[] {
  if (section.entries.size > 0) return [];
  const at = root.entries.get('watch')?.at ?? root.at;
  return [
    errorAt(at, ['watch'], 'no watch is defined', 'add "watch": {"<name>": {"path": ..., "jobs": [...]}}'),
  ];
}

import { resolve as resolvePath } from 'node:path';
import { defineWatch } from './definition.js';
import { expandWatches, sectionOf } from './expand.js';
import { mergeMappings } from './merge.js';
import { applyOverrides } from './override.js';
import { certain, hasErrors, sortProblems, uniqueProblems, type Problem } from './problem.js';
import { readConfigFile } from './read.js';
import { checkRoot, rootSettings, rootTrees, type RootSettings } from './root.js';
import type { WatchDefinition } from './schema.js';
import { emptyMap, type Mapping } from './tree.js';
import { checkAnyWatch, validateWatches } from './validate.js';

export { splitArguments } from './arguments.js';
export { formatProblem, type Problem } from './problem.js';

/** A configuration without an error in it: what the watcher runs on. */
export interface ResolvedConfig extends RootSettings {
  readonly watches: readonly WatchDefinition[];
  /** absolute, in the order given: to read again on reload */
  readonly files: readonly string[];
}

export interface LoadContext {
  /** where relative paths start, of the files and in them */
  readonly cwd: string;
}

export interface Loaded {
  /** absent when there is any error */
  readonly config?: ResolvedConfig;
  /** every problem of every file, watch and argument; warnings too */
  readonly problems: readonly Problem[];
}

/**
 * Reads the files and merges them left to right, then the `key=value` overrides, then applies templates
 * (contract, "Configuration"). Never throws for what a user wrote. A file that cannot be parsed does not keep
 * the others from being checked, but what it would have defined is not reported as missing.
 */
export function load(files: readonly string[], overrides: readonly string[], context: LoadContext): Loaded {
  const parsed = files.map((file) => readConfigFile(resolvePath(context.cwd, file), file));
  const trees = parsed.flatMap(({ tree }) => (tree === undefined ? [] : [tree]));
  const base = trees.reduce(mergeMappings, emptyMap({ file: files[0] ?? 'command line' }));
  const { root, problems: overrideProblems } = applyOverrides(base, overrides);
  const syntax = [...parsed.flatMap(({ problems }) => problems), ...overrideProblems];
  const { problems, ...rest } = resolveRoot(root, context, !hasErrors(syntax));
  const all = sortProblems(uniqueProblems([...syntax, ...problems]), files);
  if (hasErrors(all) || rest.make === undefined) return { problems: all };
  const paths = files.map((file) => resolvePath(context.cwd, file));
  return { config: { ...rest.make(), files: paths }, problems: all };
}

const templateNames = (root: Mapping): string[] =>
  [...sectionOf(root, 'template').entries.keys()].filter((name) => name !== 'null');

interface Outcome {
  readonly problems: readonly Problem[];
  readonly make?: () => Omit<ResolvedConfig, 'files'>;
}

/** With an unreadable file (`complete` false) only what is there can be judged. */
function resolveRoot(root: Mapping, { cwd }: LoadContext, complete: boolean): Outcome {
  const problems: Problem[] = [];
  const trees = rootTrees(root, problems);
  problems.push(...checkRoot(trees));
  const { watches, problems: templateProblems } = expandWatches(root);
  problems.push(...templateProblems);
  if (complete) problems.push(...checkAnyWatch(root, sectionOf(root, 'watch')));
  problems.push(...validateWatches(watches, sectionOf(root, 'defaults'), cwd, templateNames(root)));
  return {
    problems: complete ? problems : certain(problems),
    make: () => ({ ...rootSettings(trees, cwd), watches: watches.map((watch) => defineWatch(watch, cwd)) }),
  };
}

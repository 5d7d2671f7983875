import type { WatchDefinition } from '../config/schema.js';
import type { AgentPort } from '../protocol/agent.js';
import type { Clock } from '../lib/clock.js';
import { MarkerStore } from './marker-store.js';
import type { InFlight, PlanInput } from './observation.js';
import { Observer } from './observer.js';
import { plan, type Plan } from './plan.js';
import { Prober } from './prober.js';
import { compileSelector, type Selector } from './select.js';
import { realFileSystem } from '../lib/file-system.js';
import type { Submission } from './ledger.js';
import { describeOwner } from './lease.js';
import { LeaseFiles } from './lease-files.js';

/** A look at one watch from outside the service: everything the planner needs, and nothing is touched. */
export interface Inspection {
  readonly watch: WatchDefinition;
  readonly select: Selector;
  readonly store: MarkerStore;
  readonly observer: Observer;
  readonly input: PlanInput;
  /** who holds the lease of the watch, in words; undefined when nobody does */
  readonly owner: string | undefined;
  /** trouble met while looking, by path */
  readonly troubles: ReadonlyMap<string, unknown>;
  /** the plan with the evidence that can be had without running anything; checks remain as probes */
  readonly plan: Plan;
}

/**
 * @param open submissions whose results are not recorded yet, from the ledger
 * @param whole every file is to be had with its place in the order; else those that need nothing more are only counted
 */
export async function inspect(
  watch: WatchDefinition,
  open: readonly Submission[],
  clock: Clock,
  whole: boolean,
): Promise<Inspection> {
  const select = compileSelector(watch);
  const store = new MarkerStore(
    watch.name,
    watch.statePath ?? watch.path!,
    watch.statePath === undefined,
    watch.updated,
    true,
  );
  const troubles = new Map<string, unknown>();
  const events = {
    trouble: (path: string, error: unknown) => troubles.set(path, error),
    recovered: () => undefined,
    folderFound: () => undefined,
    folderGone: () => undefined,
  };
  const observer = new Observer(watch, select, store, events, realFileSystem, {
    whole,
    lookAtOnce: Infinity,
  });
  await observer.scan(clock.now(), true);
  const prober = new Prober(
    watch,
    noAgent,
    clock,
    (path) => observer.mode(path),
    () => undefined,
  );
  const inFlight = new Map<string, InFlight>(open.map((submission) => [submission.path, submission]));
  const makeInput = (): PlanInput => ({
    files: observer.rootPresent ? observer.files() : [],
    folded: observer.folded,
    now: clock.now(),
    record: (path, step) => store.read({ path, step }, observer.get(path)?.stat),
    inFlight: (path) => inFlight.get(path),
    inFlightCount: inFlight.size,
    evidence: (path) => prober.evidence(path),
    backlogInFlight: 0,
  });
  let input = makeInput();
  let next = plan(watch, input);
  for (let round = 0; round < 3; round++) {
    const probes = next.actions
      .filter((action) => action.kind === 'probe')
      .filter((probe) => probe.what !== 'check');
    if (probes.length === 0) break;
    prober.gather(probes);
    input = makeInput();
    next = plan(watch, input);
  }
  return { watch, select, store, observer, input, owner: ownerOf(watch), troubles, plan: next };
}

function ownerOf({ name, path, statePath }: WatchDefinition): string | undefined {
  try {
    const files = new LeaseFiles(statePath ?? path!, name, realFileSystem);
    const [highest] = files.list();
    const file = highest === undefined ? undefined : files.read(highest);
    return file === undefined ? undefined : describeOwner(file);
  } catch {
    return undefined;
  }
}

/** Nothing is run while looking. */
const noAgent: AgentPort = {
  description: 'none',
  submit: () => Promise.reject(new Error('an inspection submits nothing')),
  query: () => Promise.resolve(new Map()),
  list: () => Promise.resolve([]),
  kill: () => Promise.resolve(),
  release: () => Promise.resolve(),
  onJob: () => () => undefined,
  stop: () => Promise.resolve(),
};

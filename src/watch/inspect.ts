import type { WatchDefinition } from '../config/schema.js';
import type { AgentPort } from '../protocol/agent.js';
import type { Clock } from '../lib/clock.js';
import { MarkerStore } from './marker-store.js';
import type { InFlight, PlanInput } from './observation.js';
import { Observer } from './observer.js';
import { plan, type Plan } from './plan.js';
import { Prober } from './prober.js';
import { compileSelector, type Selector } from './select.js';
import type { Submission } from './ledger.js';

/** A look at one watch from outside the service: everything the planner needs, and nothing is touched. */
export interface Inspection {
  readonly watch: WatchDefinition;
  readonly select: Selector;
  readonly store: MarkerStore;
  readonly observer: Observer;
  readonly input: PlanInput;
  /** trouble met while looking, by path */
  readonly troubles: ReadonlyMap<string, unknown>;
  /** the plan with the evidence that can be had without running anything; checks remain as probes */
  readonly plan: Plan;
}

/** @param open submissions whose results are not recorded yet, from the ledger */
export async function inspect(
  watch: WatchDefinition,
  open: readonly Submission[],
  clock: Clock,
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
  const observer = new Observer(watch, select, store, {
    trouble: (path, error) => troubles.set(path, error),
    recovered: () => undefined,
    folderFound: () => undefined,
    folderGone: () => undefined,
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
    await prober.gather(probes);
    input = makeInput();
    next = plan(watch, input);
  }
  return { watch, select, store, observer, input, troubles, plan: next };
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

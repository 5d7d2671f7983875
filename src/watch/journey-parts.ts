import type { WatchDefinition } from '../config/schema.js';
import type { Clock } from '../lib/clock.js';
import type { tryLock } from '../lib/file-lock.js';
import { realFileSystem, type FileSystem } from '../lib/file-system.js';
import type { Log } from '../lib/log.js';
import { printable } from '../lib/text.js';
import type { AgentPort } from '../protocol/agent.js';
import type { createHints } from './hints.js';
import { scopeOf, type Ledger } from './ledger.js';
import { MarkerStore } from './marker-store.js';
import { Observer, type ObserverEvents, type ObserverOptions } from './observer.js';
import type { PlanCounts } from './plan.js';
import { Prober } from './prober.js';
import { Recorder } from './recorder.js';
import { fencedAgent, fencedFileSystem, type Fence } from './fence.js';
import type { LeaseHost } from './lease-host.js';
import { Reporter } from './reporter.js';
import { compileSelector } from './select.js';
import { Submitter } from './submitter.js';
import { Tracker } from './tracker.js';
import { cannotLook, fullPath } from './trouble.js';

/** A journey, as its ports see it. */
interface Runs {
  readonly watch: WatchDefinition;
  stop(): Promise<void>;
}

export interface JourneyPorts {
  readonly agent: AgentPort;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly log: Log;
  /** what follows is the real one by default */
  readonly fs?: FileSystem;
  readonly lock?: typeof tryLock;
  readonly createHints?: typeof createHints;
  readonly host?: LeaseHost;
  readonly lookAtOnce?: ObserverOptions['lookAtOnce'];
  /** called after every turn, for progress and status */
  readonly onTurn: (name: string, counts: PlanCounts) => void;
  /** another watcher may work there now: the journey is at its end, and a new one wanted */
  readonly onLost?: (journey: Runs) => void;
}

/** Who does what on the journey of a watch's files. */
export interface Parts {
  readonly reporter: Reporter;
  readonly store: MarkerStore;
  readonly tracker: Tracker;
  readonly observer: Observer;
  readonly prober: Prober;
  readonly recorder: Recorder;
  readonly submitter: Submitter;
}

export interface PartsEvents extends Pick<ObserverEvents, 'folderFound' | 'folderGone'> {
  /** something happened that a plan should know of */
  readonly wake: () => void;
}

/** Makes the parts of a journey and tells them of each other. */
export function createParts(
  watch: WatchDefinition,
  ports: JourneyPorts,
  events: PartsEvents,
  fence: Fence,
): Parts {
  const { ledger, clock, log, fs = realFileSystem } = ports;
  const agent = fencedAgent(ports.agent, fence);
  const { wake } = events;
  const reporter = new Reporter(watch.name, log);
  const root = watch.statePath ?? watch.path!;
  const markers = fencedFileSystem(fs, fence);
  const store = new MarkerStore(
    watch.name,
    root,
    watch.statePath === undefined,
    watch.updated,
    false,
    markers,
  );
  const tracker = new Tracker(watch.name, scopeOf(watch), agent, ledger, clock, log, wake, (refusals) =>
    submitter.refused(refusals),
  );
  const seen = observerEvents(watch, log, events);
  const observer = new Observer(watch, compileSelector(watch), store, seen, fs, ports);
  const prober = new Prober(watch, agent, clock, (path) => observer.mode(path), wake, fs);
  const name = agent.description;
  const recorder = new Recorder(watch, store, observer, tracker, name, clock, log, reporter, fs);
  const submitter = new Submitter(watch, observer, recorder, tracker, ledger, clock, log, reporter);
  return { reporter, store, tracker, observer, prober, recorder, submitter };
}

function observerEvents(watch: WatchDefinition, log: Log, events: PartsEvents): ObserverEvents {
  return {
    ...events,
    trouble: (path, error) =>
      log.warn({ watch: watch.name, path: fullPath(watch, path) }, cannotLook(watch, path, error)),
    recovered: (path) => {
      const full = fullPath(watch, path);
      log.info({ watch: watch.name, path: full }, `can look at ${printable(full)} again`);
    },
  };
}

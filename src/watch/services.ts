import { RenderError, renderJob } from '../config/placeholders.js';
import type { JobTemplate, WatchDefinition } from '../config/schema.js';
import { describeError } from '../lib/errors.js';
import { isFinished, type Job, type JobSpec } from '../protocol/job.js';
import type { Identity } from './identity.js';
import type { JourneyPorts } from './journey-parts.js';
import { scopeOf, type Submission } from './ledger.js';
import type { PlanCounts } from './plan.js';
import { serviceLookup } from './render.js';
import type { NewSubmission } from './tracker.js';
import { afterEnd, planService, type ServiceState } from './service-plan.js';

interface Service {
  readonly step: number;
  readonly template: JobTemplate;
  /** stands for a path in the ledger */
  readonly slot: string;
  readonly defaultId: string;
  state: ServiceState;
  jobId: string | undefined;
  key: string | undefined;
  /** the agent has acknowledged the job: one it does not know any more is lost */
  accepted: boolean;
  attempt: number;
  /** intended, but whether the agent has it is not known: it is offered again as it is */
  unsure: NewSubmission | undefined;
}

/** A service has no file; its ledger entries share this identity. */
const noIdentity: Identity = { mtime_ns: '0', size: 0, inode: '0', birth_ns: '0' };
const absent: ServiceState = { state: 'absent', endedAt: 0, quickDeaths: 0 };
const RETRY_MS = 2000;

/** Keeps the jobs of a watch without globs running: `count` copies of each. */
export class Services {
  readonly #services: Service[];
  readonly #unsubscribe: () => void;
  #cancelTimer: (() => void) | undefined;
  #cancelRefresh: (() => void) | undefined;
  #turn: Promise<void> = Promise.resolve();
  #running = true;
  #stopped = false;
  #troubleReported = false;
  #wakeAt = Infinity;
  #onEnd: () => void = () => undefined;

  constructor(
    readonly watch: WatchDefinition,
    private readonly ports: JourneyPorts,
  ) {
    this.#services = servicesOf(watch);
    this.#unsubscribe = ports.agent.onJob((job) => this.#changed(job));
  }

  async start(): Promise<void> {
    const open = this.ports.ledger.open(scopeOf(this.watch));
    const jobs = await this.ports.agent.query(open.map((s) => s.jobId));
    for (const submission of open) this.#adopt(submission, jobs.get(submission.jobId));
    this.#want();
    this.#refreshLater();
    await this.idle();
  }

  #refreshLater(): void {
    if (!this.#stopped)
      this.#cancelRefresh = this.ports.clock.after(
        this.watch.refresh * 1000,
        () => void this.#refresh().finally(() => this.#refreshLater()),
      );
  }

  /** Asks for jobs whose end may have been missed; one that the agent has forgotten is started again. */
  async #refresh(): Promise<void> {
    const asked = new Map(
      this.#services.flatMap((s) => (s.state.state === 'up' && s.accepted ? [[s.jobId!, s.key!]] : [])),
    );
    if (asked.size === 0) return;
    // an agent that cannot answer now is asked again
    const jobs = await this.ports.agent.query([...asked.keys()]).catch(() => undefined);
    if (jobs === undefined || this.#stopped) return;
    for (const job of jobs.values()) this.#changed(job);
    for (const [id, key] of asked) if (jobs.get(id)?.key !== key) this.#lost(id, key);
  }

  #lost(id: string, key: string): void {
    const service = this.#services.find((s) => s.jobId === id && s.key === key);
    if (service?.state.state !== 'up') return;
    service.state = { state: 'ended', endedAt: this.ports.clock.now(), quickDeaths: 0 };
    this.ports.log.warn(
      { watch: this.watch.name, step: service.step, job: id },
      `the agent does not know service ${id} any more; starting it again`,
    );
    this.#want();
    this.#onEnd();
  }

  async idle(): Promise<void> {
    await this.#turn;
  }

  get scope(): string {
    return scopeOf(this.watch);
  }

  get inFlight(): number {
    return this.#services.filter((s) => s.state.state === 'up').length;
  }

  jobIds(): string[] {
    return this.#services.flatMap((s) => (s.state.state === 'up' && s.jobId !== undefined ? [s.jobId] : []));
  }

  /** A person wants killed services up again. */
  rescan(): void {
    for (const service of this.#services) if (service.state.state === 'killed') service.state = absent;
    this.#want();
  }

  stopSubmitting(): void {
    this.#running = false;
  }

  /** Ends the jobs: a service would never end by itself. */
  async killJobs(): Promise<void> {
    await this.ports.agent.kill(this.jobIds());
  }

  /** Kills the jobs and resolves when they are gone. */
  async endJobs(): Promise<void> {
    this.#running = false;
    await this.killJobs();
    while (this.inFlight > 0 && !this.#stopped) await new Promise<void>((resolve) => (this.#onEnd = resolve));
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#cancelRefresh?.();
    this.#onEnd();
    this.#unsubscribe();
    await this.idle();
  }

  #adopt(submission: Submission, job: Job | undefined): void {
    const service = this.#services.find((s) => s.step === submission.step && s.slot === submission.path);
    if (service === undefined) {
      if (job !== undefined && !isFinished(job.state))
        void this.ports.agent.kill([job.id]).catch(() => undefined);
      this.ports.ledger.record([submission], this.ports.clock.now());
      return;
    }
    service.attempt = submission.attempt;
    if (job === undefined || isFinished(job.state) || job.key !== submission.key) return;
    service.jobId = job.id;
    service.key = submission.key;
    service.accepted = true;
    service.state = { state: 'up', endedAt: 0, quickDeaths: 0 };
  }

  #changed(job: Job): void {
    const service = this.#services.find((s) => s.jobId === job.id && s.key === job.key);
    if (service === undefined || service.state.state !== 'up' || !isFinished(job.state)) return;
    const endedAt = (job.end_ts ?? job.ts) * 1000;
    service.state = afterEnd(service.state, {
      startedAt: (job.start_ts ?? job.ts) * 1000,
      endedAt,
      killed: job.state === 'killed',
    });
    const next =
      service.state.state === 'killed' ? 'it stays down until `meeseeks-watch retry`' : 'starting it again';
    if (this.#running) {
      this.ports.log.warn(
        { watch: this.watch.name, step: service.step, job: job.id, rc: job.rc, reason: job.reason },
        `service ${job.id} ended (${job.error ?? job.signal ?? `exit code ${job.rc ?? '?'}`}); ${next}${job.stderr_path === undefined ? '' : `; output in ${job.stderr_path}`}`,
      );
    }
    if (this.#running) this.#want();
    else this.ports.onTurn(this.watch.name, this.counts);
    this.#onEnd();
  }

  #want(): void {
    this.#turn = this.#turn.then(() => this.#tend()).catch((error: unknown) => this.#postpone(error));
  }

  async #tend(): Promise<void> {
    this.#cancelTimer?.();
    if (!this.#running) return;
    let wakeAt = Infinity;
    for (const service of this.#services) {
      const action = planService(service.state, this.ports.clock.now());
      if (action.kind === 'start') await this.#startService(service);
      if (action.kind === 'wait') wakeAt = Math.min(wakeAt, action.until);
    }
    this.#wakeAt = wakeAt;
    this.ports.onTurn(this.watch.name, this.counts);
    if (wakeAt !== Infinity)
      this.#cancelTimer = this.ports.clock.after(wakeAt - this.ports.clock.now(), () => this.#want());
  }

  get counts(): PlanCounts {
    const count = (state: ServiceState['state']): number =>
      this.#services.filter((s) => s.state.state === state).length;
    return {
      files: 0,
      waiting: count('absent') + this.#services.filter((s) => isRestarting(s.state)).length,
      ready: 0,
      running: count('up'),
      done: 0,
      failed: this.#services.filter((s) => s.state.state === 'ended' && !isRestarting(s.state)).length,
      killed: count('killed'),
      nextRetry: this.#wakeAt === Infinity ? undefined : this.#wakeAt,
    };
  }

  async #startService(service: Service): Promise<void> {
    const { agent, clock, log } = this.ports;
    const next = service.unsure ?? this.#intend(service);
    if (next === undefined) return;
    const { submission, spec } = next;
    const { jobId, key, attempt } = submission;
    const { quickDeaths } = service.state;
    const state = { state: 'up', endedAt: 0, quickDeaths } as const;
    Object.assign(service, { jobId, key, attempt, accepted: false, unsure: next, state });
    let result;
    try {
      [result] = await agent.submit([{ key, spec: { ...spec, id: jobId } }]);
    } catch (error) {
      service.state = { state: 'ended', endedAt: clock.now(), quickDeaths };
      throw error;
    }
    service.unsure = undefined;
    this.#troubleReported = false;
    if (result?.ok === true) {
      service.accepted = true;
      return this.#changed(result.job);
    }
    log.error(
      { watch: this.watch.name, step: service.step },
      `the agent refused the job: ${result?.error ?? 'no answer'}`,
    );
    service.state = { state: 'ended', endedAt: clock.now(), quickDeaths: quickDeaths + 1 };
  }

  /** The next attempt, written down. */
  #intend(service: Service): NewSubmission | undefined {
    const { ledger, clock } = this.ports;
    const attempt = service.attempt + 1;
    const spec = this.#render(service, attempt);
    if (spec === undefined) return undefined;
    const { step, slot: path, defaultId } = service;
    const identity = noIdentity;
    const scope = scopeOf(this.watch);
    const submission = ledger.prepare(
      { scope, watch: this.watch.name, step, path, identity, attempt },
      spec.id ?? defaultId,
      false,
    );
    ledger.intend([submission], clock.now());
    return { submission, spec };
  }

  #render(service: Service, attempt: number): JobSpec | undefined {
    try {
      return renderJob(service.template, serviceLookup(this.watch, service.step, attempt));
    } catch (error) {
      if (!(error instanceof RenderError)) throw error;
      this.ports.log.error({ watch: this.watch.name, step: service.step }, error.message);
      service.state = { state: 'killed', endedAt: 0, quickDeaths: 0 };
      return undefined;
    }
  }

  /** The service that could not be started is `ended`, the others go on. */
  #postpone(error: unknown): void {
    if (!this.#troubleReported && this.#running)
      this.ports.log.error(
        { watch: this.watch.name },
        `cannot start a service: ${describeError(error)}; trying again until it can`,
      );
    this.#troubleReported = true;
    if (this.#running) this.#cancelTimer = this.ports.clock.after(RETRY_MS, () => this.#want());
  }
}

/** Between two runs after a longer life, not dying at once again and again. */
const isRestarting = (state: ServiceState): boolean => state.state === 'ended' && state.quickDeaths <= 1;

function servicesOf(watch: WatchDefinition): Service[] {
  return watch.steps.flatMap((entry, step) => {
    const specs = entry.kind === 'single' ? [entry.spec] : entry.specs;
    return specs.flatMap((template, k) => {
      if (template === null) return [];
      return Array.from({ length: watch.count }, (_, copy) => {
        const suffix = `${specs.length > 1 ? `_${k}` : ''}${copy > 0 ? `_${copy}` : ''}`;
        return {
          step,
          template: template.id === undefined ? template : { ...template, id: template.id + suffix },
          slot: `service${suffix}`,
          defaultId: `${watch.name}_${step}${suffix}`,
          state: absent,
          jobId: undefined,
          key: undefined,
          accepted: false,
          attempt: 0,
          unsure: undefined,
        };
      });
    });
  });
}

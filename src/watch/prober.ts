import { timeOrderedId } from '../lib/time-ordered-id.js';
import type { WatchDefinition } from '../config/schema.js';
import { render, RenderError } from '../config/placeholders.js';
import type { Clock } from '../lib/clock.js';
import { realFileSystem, type FileSystem } from '../lib/file-system.js';
import { bytesToBuffer, textToBytes } from '../lib/text.js';
import type { AgentPort, SubmitRequest } from '../protocol/agent.js';
import { isFinished, type Job } from '../protocol/job.js';
import { digest, identityKey } from './identity.js';
import type { Evidence, ObservedFile } from './observation.js';
import { openForWriting } from './open-files.js';
import type { Action } from './plan.js';
import { unitIdentity } from './progress.js';
import { probeDelay } from './readiness.js';
import { absolute, renderUnit, unitLookup } from './render.js';
import { folderOf } from './select.js';
import { membersOf, workOf } from './unit.js';

type Probe = Extract<Action, { kind: 'probe' }>;

interface Gathered {
  identity: string;
  openUntil?: number | null;
  openTries: number;
  sealed?: boolean;
  sentinelAt?: number | null;
  sentinelTries: number;
  checkAt?: number | null | 'running';
  checkTries: number;
}

const LONGEST_OPEN_DELAY_MS = 1000;
const LONGEST_SENTINEL_DELAY_MS = 2000;
const FIRST_CHECK_DELAY_MS = 1000;

/** Gathers the evidence that the planner asks for: looks at /proc and at sentinels, runs check commands as jobs. */
export class Prober {
  readonly #evidence = new Map<string, Gathered>();
  /** an agent must not answer with what a check of an earlier process found */
  readonly #session = timeOrderedId();
  readonly #checks = new Map<string, { path: string; identity: string; accepted: boolean }>();

  constructor(
    private readonly watch: WatchDefinition,
    private readonly agent: AgentPort,
    private readonly clock: Clock,
    /** permission bits of a file as last seen */
    private readonly modeOf: (path: string) => number,
    private readonly wake: () => void,
    private readonly fs: FileSystem = realFileSystem,
  ) {}

  evidence(path: string): Evidence | undefined {
    return this.#evidence.get(path);
  }

  /** A file changed. One that is being written is not looked for in /proc at every write of its writer. */
  changed(path: string): void {
    if (this.#evidence.get(path)?.sealed === true) this.#evidence.delete(path);
  }

  forget(path: string): void {
    this.#evidence.delete(path);
  }

  /** Something happened in the directory: sentinels are looked for again at once. True when any is waited for. */
  hint(): boolean {
    let waited = false;
    for (const evidence of this.#evidence.values()) {
      if (typeof evidence.sentinelAt !== 'number') continue;
      evidence.sentinelAt = 0;
      waited = true;
    }
    return waited;
  }

  /** Looks at once at what can be looked at; checks are started, and their results come later. */
  gather(probes: readonly Probe[]): void {
    this.#probeClosed(probes.filter((probe) => probe.what === 'closed'));
    for (const probe of probes) if (probe.what === 'sentinel') this.#probeSentinel(probe);
    this.#startChecks(probes.filter((probe) => probe.what === 'check'));
  }

  /** A job changed; check jobs of this watch settle their evidence. */
  noticed(job: Job): void {
    const check = this.#checks.get(job.id);
    if (check === undefined || !isFinished(job.state)) return;
    this.#checks.delete(job.id);
    void this.agent.release([job.id]).catch(() => undefined);
    const evidence = this.#evidence.get(check.path);
    if (evidence?.identity === check.identity) this.#settleCheck(evidence, job.state === 'done');
    this.wake();
  }

  /** One look at /proc serves all files of the round. */
  #probeClosed(probes: readonly Probe[]): void {
    if (probes.length === 0) return;
    const paths = probes.map(({ unit }) =>
      membersOf(unit).map((member) => textToBytes(absolute(this.watch, member))),
    );
    const open = openForWriting(paths.flat());
    probes.forEach((probe, i) => {
      const evidence = this.#evidenceFor(probe);
      evidence.sealed = membersOf(probe.unit).some((member) => isSealed(this.modeOf(member.path)));
      const isOpen = paths[i]!.some((path) => open.has(path));
      // a change of the mode is an event; without one the next scan sees it
      if (evidence.sealed) evidence.openUntil = this.clock.now() + this.watch.rescan * 1000;
      else
        evidence.openUntil = isOpen
          ? this.clock.now() + probeDelay(evidence.openTries++, LONGEST_OPEN_DELAY_MS)
          : null;
    });
  }

  #probeSentinel(probe: Probe): void {
    const evidence = this.#evidenceFor(probe);
    const found = membersOf(probe.unit).every((member) => this.#hasSentinel(probe, member));
    evidence.sentinelAt = found
      ? null
      : this.clock.now() + probeDelay(evidence.sentinelTries++, LONGEST_SENTINEL_DELAY_MS);
  }

  #hasSentinel(probe: Probe, member: ObservedFile): boolean {
    const name = this.#sentinelName(probe, member);
    if (name === undefined) return false;
    const folder = this.watch.type === 'directory' ? member.path : folderOf(member.path);
    const path = name.startsWith('/')
      ? name
      : absolute(this.watch, { path: folder === '' ? name : `${folder}/${name}` });
    return this.fs.existsSync(bytesToBuffer(textToBytes(path)));
  }

  /** undefined when this file's name cannot fill the placeholders of the sentinel: then it never becomes ready. */
  #sentinelName(probe: Probe, member: ObservedFile): string | undefined {
    try {
      return render(
        this.watch.ready.sentinel!,
        unitLookup(this.watch, { ...probe.unit, file: member }, probe.step, 1),
      );
    } catch (error) {
      if (error instanceof RenderError) return undefined;
      throw error;
    }
  }

  #startChecks(probes: readonly Probe[]): void {
    const requests = probes.flatMap((probe) => {
      const evidence = this.#evidenceFor(probe);
      const work = workOf(this.watch, probe.unit, probe.step);
      if (work.kind !== 'job') return [];
      const spec = renderUnit(this.watch, probe.unit, probe.step, 1, {
        pool: work.spec.pool,
        args: [...this.watch.ready.check!],
      });
      if (!spec.ok) {
        this.#settleCheck(evidence, false);
        return [];
      }
      const key = digest(
        this.watch.name,
        'check',
        probe.unit.file.path,
        probe.identity,
        String(evidence.checkTries),
        this.#session,
      ).slice(0, 32);
      const id = `${this.watch.name}_check.${key.slice(0, 16)}`;
      this.#checks.set(id, { path: probe.unit.file.path, identity: probe.identity, accepted: false });
      evidence.checkAt = 'running';
      return [{ key, spec: { ...spec.spec, id } }];
    });
    if (requests.length > 0) void this.#submitChecks(requests);
  }

  async #submitChecks(requests: readonly SubmitRequest[]): Promise<void> {
    try {
      const results = await this.agent.submit(requests);
      results.forEach((result, i) => {
        const { id } = requests[i]!.spec;
        if (!result.ok) return this.#checkFailed(id);
        const check = this.#checks.get(id);
        if (check !== undefined) check.accepted = true;
        this.noticed(result.job);
      });
    } catch {
      // the agent is away or its disk is full; the watch says so where it submits jobs
      for (const { spec } of requests) this.#checkFailed(spec.id);
    }
  }

  get isChecking(): boolean {
    return this.#checks.size > 0;
  }

  jobIds(): string[] {
    return [...this.#checks.keys()];
  }

  /** Asks for check jobs whose end may have been missed; one the agent has forgotten is made again. */
  refresh(): void {
    const ids = [...this.#checks].flatMap(([id, check]) => (check.accepted ? [id] : []));
    if (ids.length > 0) void this.#askFor(ids);
  }

  async #askFor(ids: readonly string[]): Promise<void> {
    // one that cannot answer now is asked again
    const jobs = await this.agent.query(ids).catch(() => undefined);
    if (jobs === undefined) return;
    for (const job of jobs.values()) this.noticed(job);
    for (const id of ids) if (!jobs.has(id)) this.#checkFailed(id);
  }

  #checkFailed(id: string): void {
    const check = this.#checks.get(id);
    this.#checks.delete(id);
    const evidence = check === undefined ? undefined : this.#evidence.get(check.path);
    if (evidence === undefined || evidence.identity !== check?.identity) return;
    this.#settleCheck(evidence, false);
    this.wake();
  }

  #settleCheck(evidence: Gathered, passed: boolean): void {
    const delay = Math.min(
      FIRST_CHECK_DELAY_MS * 2 ** Math.min(evidence.checkTries++, 20),
      this.watch.rescan * 1000,
    );
    evidence.checkAt = passed ? null : this.clock.now() + delay;
  }

  #evidenceFor(probe: Probe): Gathered {
    const path = probe.unit.file.path;
    const identity = identityKey(unitIdentity(probe.unit));
    const known = this.#evidence.get(path);
    if (known?.identity === identity) return known;
    const fresh: Gathered = { identity, openTries: known?.openTries ?? 0, sentinelTries: 0, checkTries: 0 };
    this.#evidence.set(path, fresh);
    return fresh;
  }
}

/** Some senders keep a file at mode 000 until it is complete. */
const isSealed = (mode: number): boolean => (mode & 0o444) === 0;

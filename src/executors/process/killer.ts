import type { Clock } from '../../lib/clock.js';
import { allProcesses, family, recentProcesses, isAlive, signalGroup, signalProcess } from './proc.js';
import type { Identity, ProcessStat } from './proc.js';

const FIRST_LOOK_MS = 10;
const LONGEST_PAUSE_MS = 250;

/**
 * Ends all processes of a run: SIGTERM once to those that are there, so that what a clean-up handler starts is left
 * alone, SIGKILL to all when the grace is over, and calls `gone` when none is left. Its leader may end long before that.
 */
export class Killer {
  private readonly known = new Map<number, string>();
  private asked = false;
  private readonly deadline: number;
  private pause = FIRST_LOOK_MS;
  private cancel: () => void = () => undefined;

  constructor(
    private readonly leader: Identity,
    graceMs: number,
    private readonly clock: Clock,
    private readonly gone: () => void,
  ) {
    this.deadline = clock.now() + graceMs;
    // A leader that is gone may have left its number to another process: then nothing here is ours.
    if (isAlive(leader)) this.look();
    else this.cancel = clock.after(0, gone);
  }

  stop(): void {
    this.cancel();
  }

  private look(): void {
    let members = family(this.leader, this.known, recentProcesses());
    // "none" must be true now: a moment ago the run may not have begun
    if (members.length === 0) members = family(this.leader, this.known, allProcesses());
    if (members.length === 0) {
      this.cancel = this.clock.after(0, this.gone);
      return;
    }
    for (const member of members) this.known.set(member.pid, member.birth);
    const late = this.clock.now() >= this.deadline;
    if (late) this.signal(members, 'SIGKILL');
    else if (!this.asked) this.signal(members, 'SIGTERM');
    this.asked = true;
    const wait = late ? this.pause : Math.min(this.pause, Math.max(this.deadline - this.clock.now(), 1));
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE_MS);
    this.cancel = this.clock.after(wait, () => this.look());
  }

  /** The group at once, so that a shell and its child get the signal together; then those who left the group. */
  private signal(members: readonly ProcessStat[], signal: NodeJS.Signals): void {
    const own = members.find((m) => m.group === this.leader.pid);
    if (own) signalGroup(own, signal);
    for (const m of members) if (m.group !== this.leader.pid) signalProcess(m.pid, m.birth, signal);
  }
}

import type { Clock } from '../../lib/clock.js';
import {
  allProcesses,
  bootId,
  family,
  isAlive,
  orphans,
  processStat,
  recentProcesses,
  signalGroup,
  signalProcess,
  strays,
} from './proc.js';
import type { Identity, ProcessStat } from './proc.js';

const FIRST_LOOK_MS = 10;
const LONGEST_PAUSE_MS = 250;

/**
 * Ends all processes of a run: SIGTERM once to those that are there, so that what a clean-up handler starts is left
 * alone, SIGKILL to all when the grace is over, and calls `gone` when none is left. Its leader may end long before that,
 * even before this: an agent that goes on with a kill may find only what the leader left.
 */
export class Killer {
  private readonly known = new Map<number, string>();
  private asked = false;
  private readonly deadline: number;
  private pause = FIRST_LOOK_MS;
  private readonly hadLeader: boolean;
  private cancel: () => void = () => undefined;

  constructor(
    private readonly leader: Identity,
    private readonly path: string,
    graceMs: number,
    private readonly clock: Clock,
    private readonly gone: () => void,
  ) {
    this.deadline = clock.now() + graceMs;
    this.hadLeader = isAlive(leader);
    if (this.hadLeader) this.look();
    else this.cancel = clock.after(0, leader.boot === bootId() ? () => this.look() : gone);
  }

  stop(): void {
    this.cancel();
  }

  private look(): void {
    let members = this.members(recentProcesses());
    // "none" must be true now: a moment ago the run may not have begun
    if (members.length === 0) members = this.members(allProcesses());
    if (members.length === 0) {
      this.cancel = this.clock.after(0, this.gone);
      return;
    }
    for (const member of members) this.known.set(member.pid, member.birth);
    const late = this.clock.now() >= this.deadline;
    if (late) this.signal(members, 'SIGKILL');
    else if (!this.asked) this.asked = this.signal(members, 'SIGTERM');
    const wait = late ? this.pause : Math.min(this.pause, Math.max(this.deadline - this.clock.now(), 1));
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE_MS);
    this.cancel = this.clock.after(wait, () => this.look());
  }

  private members(processes: readonly ProcessStat[]): ProcessStat[] {
    if (!this.hadLeader) return orphans(this.leader, this.path, this.known, processes);
    const members = family(this.leader, this.known, processes);
    return [...members, ...strays(this.leader, this.path, members, processes)];
  }

  /** @returns whether anybody was there to get it. The group at once, so that a shell and its child get the signal together; then those who left the group. */
  private signal(seen: readonly ProcessStat[], signal: NodeJS.Signals): boolean {
    // the leader may have come into its group since it was seen, and begun children there; others may be gone
    const members = seen.map(current).filter((one) => one !== undefined);
    const isOwn = (one: ProcessStat): boolean => one.group === this.leader.pid;
    const group = members.some((one) => isOwn(one) && signalGroup(one, signal));
    const others = members.filter((one) => !isOwn(one) && signalProcess(one.pid, one.birth, signal));
    return group || others.length > 0;
  }
}

function current({ pid, birth }: ProcessStat): ProcessStat | undefined {
  const now = processStat(pid);
  return now?.birth === birth ? now : undefined;
}

import type { ResolvedConfig } from '../config/load.js';
import type { AgentPort } from '../protocol/agent.js';
import type { Ledger } from '../watch/ledger.js';
import type { Watcher } from '../watch/watcher.js';

/** The agent of a running service, and what differs between one in this process and one elsewhere. */
export interface ServiceAgent {
  readonly port: AgentPort;
  /** why no jobs can be submitted or followed now; undefined while the agent is there */
  readonly problem: string | undefined;
  /** A reload: pools of the embedded agent follow the configuration. */
  configure(config: ResolvedConfig): void;
  /** Results that are recorded, but whose release a stop cut short. */
  releaseLeftovers(ledger: Ledger): Promise<void>;
  /** Resolves when none of the watcher's jobs runs any more. */
  drain(watcher: Watcher): Promise<void>;
  /** Ends the watcher's jobs; resolves when they are gone, or with what prevents that. */
  kill(watcher: Watcher): Promise<string | undefined>;
  /** Lets go of the agent before the watcher stops, where the watcher could wait for it. */
  disconnect(): Promise<void>;
  /** Ends what this process holds; jobs run on. Idempotent. */
  close(): Promise<void>;
}

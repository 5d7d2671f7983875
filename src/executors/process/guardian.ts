import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { libcIfLoaded, type Libc } from '../../lib/load-libc.js';
import { startDetached, type Command, type Detached } from './detached.js';
import { bootId } from './proc.js';
import type { Request } from './run-files.js';

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export interface GuardianEvents {
  /** one line the guardian printed, see guardian.sh */
  line(text: string): void;
  /** it is gone, or never came up; `error` says why when that is known */
  closed(error: Error | undefined): void;
}

/** The process that starts and outlives jobs. Ends by itself when its input closes and its job is over. */
export class Guardian {
  private readonly process: Detached;
  /** how many it was given */
  runs = 0;
  private environment = '';
  private rest = '';
  private open = true;
  private ready = false;
  private error: Error | undefined;

  /** @param journal a file that is not there yet, see journals.ts */
  constructor(
    private readonly programs: Programs,
    readonly journal: string,
    private readonly events: GuardianEvents,
  ) {
    this.process = startDetached(
      guardianCommand(programs, journal),
      { failed: (error) => (this.error = error), closed: () => this.finish() },
      programs.libc?.(),
    );
    this.process.stdout.setEncoding('latin1').on('data', (chunk: string) => this.receive(chunk));
    this.process.stdin.on('error', () => undefined); // its end is reported by `closed`
  }

  run({ environment, run }: Request): void {
    this.runs++;
    const isKnown = environment === this.environment;
    this.environment = environment;
    this.process.stdin.write(isKnown ? run : environment + run, 'latin1');
  }

  /** Lets it end when its present job is over, and hears no more of it. */
  leave(): void {
    this.open = false;
    this.process.leave();
  }

  /** Whether it came up, before which it does nothing. */
  get isReady(): boolean {
    return this.ready;
  }

  /** Whether Perl runs it. */
  get isPerl(): boolean {
    return this.programs.perl !== undefined;
  }

  private receive(chunk: string): void {
    const lines = (this.rest + chunk).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) {
      this.ready ||= line.startsWith('ready ');
      if (this.open) this.events.line(line);
    }
  }

  private finish(): void {
    if (!this.open) return;
    this.open = false;
    this.events.closed(this.error);
  }
}

export interface Programs {
  readonly bash: string;
  readonly env: string;
  readonly setsid: string;
  /** Does what the three others do together, at less cost; they do where it is not installed. */
  readonly perl?: string | undefined;
  /** Starts them at the same cost however much memory the agent has, as soon as it is loaded, and where there is one. */
  readonly libc?: (() => Libc | undefined) | undefined;
}

/** @returns the program that runs a guardian with this journal, and its arguments */
export function guardianCommand({ bash, env, setsid, perl }: Programs, journal: string): Command {
  if (perl !== undefined) return [perl, script('./guardian.pl'), journal, bootId()];
  return [bash, '--noprofile', '--norc', script('./guardian.sh'), journal, bootId(), env, setsid];
}

/** @throws Error naming the missing program and what to install */
export function findPrograms(): Programs {
  const look = (name: string): string | undefined =>
    ['/usr/bin', '/bin', '/usr/local/bin'].map((d) => `${d}/${name}`).find((p) => existsSync(p));
  const find = (name: string, from: string): string => {
    const found = look(name);
    if (found === undefined)
      throw new Error(`cannot run jobs: no ${name} in /usr/bin or /bin; install ${from}`);
    return found;
  };
  return {
    bash: find('bash', 'bash'),
    env: find('env', 'coreutils'),
    setsid: find('setsid', 'util-linux'),
    perl: look('perl'),
    libc: libcIfLoaded,
  };
}

/** @param version of bash, or `perl`: of that any will do @returns why the version of bash will not do */
export function bashTooOld(version: string): string | undefined {
  if (version === 'perl') return undefined;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 4 || (major === 4 && minor >= 4) ? undefined : `bash ${version} is too old, 4.4 is needed`;
}

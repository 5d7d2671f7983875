import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bootId } from './proc.js';
import type { Request } from './run-files.js';

const SCRIPT = fileURLToPath(new URL('./guardian.sh', import.meta.url));

export interface GuardianEvents {
  /** one line the guardian printed, see guardian.sh */
  line(text: string): void;
  /** it is gone, or never came up; `error` says why when that is known */
  closed(error: string | undefined): void;
}

/** The shell process that starts and outlives jobs. Ends by itself when its input closes and its job is over. */
export class Guardian {
  private readonly child: ChildProcess;
  /** how many it was given */
  runs = 0;
  private environment = '';
  private rest = '';
  private open = true;
  private error: string | undefined;

  /** @param journal a file that is not there yet, see journals.ts */
  constructor(
    programs: Programs,
    readonly journal: string,
    private readonly events: GuardianEvents,
  ) {
    this.child = spawn(
      programs.bash,
      ['--noprofile', '--norc', SCRIPT, journal, bootId(), programs.env, programs.setsid],
      {
        detached: true,
        cwd: '/',
        env: { LC_ALL: 'C' },
        stdio: ['pipe', 'pipe', 'ignore'],
      },
    );
    this.child.stdout?.setEncoding('latin1').on('data', (chunk: string) => this.receive(chunk));
    this.child.stdin?.on('error', () => undefined); // its end is reported by `close`
    this.child.on('error', (error) => (this.error = error.message));
    this.child.on('close', () => this.finish());
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  run({ environment, run }: Request): void {
    this.runs++;
    const isKnown = environment === this.environment;
    this.environment = environment;
    this.child.stdin?.write(isKnown ? run : environment + run, 'latin1');
  }

  /** Lets it end when its present job is over, and hears no more of it. */
  leave(): void {
    this.open = false;
    this.child.stdin?.end();
    this.child.stdout?.destroy();
    this.child.unref();
  }

  private receive(chunk: string): void {
    const lines = (this.rest + chunk).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) if (this.open) this.events.line(line);
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
}

/** @throws Error naming the missing program and what to install */
export function findPrograms(): Programs {
  const find = (name: string, from: string): string => {
    const found = ['/usr/bin', '/bin', '/usr/local/bin']
      .map((d) => `${d}/${name}`)
      .find((p) => existsSync(p));
    if (found === undefined)
      throw new Error(`cannot run jobs: no ${name} in /usr/bin or /bin; install ${from}`);
    return found;
  };
  return { bash: find('bash', 'bash'), env: find('env', 'coreutils'), setsid: find('setsid', 'util-linux') };
}

/** @returns why the version of bash will not do */
export function bashTooOld(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 4 || (major === 4 && minor >= 4) ? undefined : `bash ${version} is too old, 4.4 is needed`;
}

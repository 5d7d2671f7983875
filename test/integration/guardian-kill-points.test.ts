import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import type { createAgent } from '../../src/agent/agent.js';
import { systemClock } from '../../src/lib/clock.js';
import type { Job } from '../../src/protocol/job.js';
import { until } from '../support/service.js';

const project = resolve(import.meta.dirname, '../..');
const dist = process.env['MEESEEKS_TEST_DIST'] ?? join(project, 'dist');
const root = mkdtempSync(join(tmpdir(), 'meeseeks-guardian-'));
afterAll(() => rmSync(root, { recursive: true, force: true, maxRetries: 5 }));

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Where a process dies, as a line of the guardian's program, and whether it dies before or after it. */
type Place = readonly [when: 'before' | 'after', line: string];
type Who = 'guardian' | 'child' | 'both';

interface KillPoint {
  readonly name: string;
  readonly who: Who;
  readonly place: Record<keyof typeof guardians, Place>;
  /** what an agent that lives on makes of it */
  readonly runs: 0 | 1;
  readonly end: Partial<Job>;
}

/** How each of them is made to die, and how the build is made to use it. */
const guardians = {
  perl: {
    script: 'guardian.pl',
    die: (file: string, who: Who): string =>
      `if (sysopen my $died, '${file}', O_CREAT | O_EXCL) { kill 'KILL', ${{ guardian: '$$', child: '$$', both: 'getppid, $$' }[who]} }`,
    use: (text: string): string => text,
  },
  bash: {
    script: 'guardian.sh',
    die: (file: string, who: Who): string =>
      `if (set -C; : >'${file}') 2>/dev/null; then kill -KILL ${{ guardian: '$$', child: '$BASHPID', both: '$$ $BASHPID' }[who]}; fi`,
    use: (text: string): string => text.replace("look('perl')", 'undefined'),
  },
};

const done: Partial<Job> = { state: 'done', rc: 0, start_count: 1 };
const lost: Partial<Job> = { state: 'failed', reason: 'lost' };
const shot: Partial<Job> = { state: 'failed', reason: 'signal', signal: 'SIGKILL' };
const lines = {
  request: {
    bash: 'local job status now',
    perl: 'my ($name, $path, $request) = @_;',
  },
  fork: { bash: '(launch) &', perl: 'if (defined(my $pid = start($request))) {' },
  started: {
    bash: `printf 'started %s %s\\n' "$job" "$now"`,
    perl: 'syswrite STDOUT, "started $pid " . now() . "\\n";',
  },
  exit: {
    bash: `printf 'exit %s %s %s\\n' "$name" "$status" "$now" >&3`,
    perl: `note('exit', $name, $status, $now, $kind);`,
  },
  exited: {
    bash: `printf 'exited %s %s\\n' "$status" "$now"`,
    perl: 'syswrite STDOUT, "exited $status $now\\n";',
  },
  pid: {
    bash: `printf 'pid %s %s %s\\n' "$name" "$stat" "$now" >&3 || refuse 'cannot write to the spool'`,
    perl: `note('pid', $name, $stat, now()) or refuse($path, 'cannot write to the spool');`,
  },
  claim: {
    bash: `: >"$path.stdout"`,
    perl: 'my $claimed = sysopen STDOUT, "$path.stdout", O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0600;',
  },
  exec: {
    bash: `become "$last" "$@" "$setsid" -- "\${args[@]}"`,
    perl: '{ no warnings; exec { $fields->[0] } @$fields }',
  },
};

const at = (when: 'before' | 'after', line: keyof typeof lines): KillPoint['place'] => ({
  perl: [when, lines[line].perl],
  bash: [when, lines[line].bash],
});

const points: readonly KillPoint[] = [
  { name: 'before it reads a request', who: 'guardian', place: at('before', 'request'), runs: 1, end: done },
  { name: 'before its child', who: 'guardian', place: at('before', 'fork'), runs: 1, end: done },
  {
    name: 'after the start of its child',
    who: 'guardian',
    place: at('after', 'started'),
    runs: 1,
    end: lost,
  },
  { name: 'before the exit status', who: 'guardian', place: at('before', 'exit'), runs: 1, end: lost },
  { name: 'after the exit status', who: 'guardian', place: at('after', 'exit'), runs: 1, end: done },
  { name: 'before it tells the end', who: 'guardian', place: at('before', 'exited'), runs: 1, end: done },
  { name: 'before its pid is noted', who: 'child', place: at('before', 'pid'), runs: 0, end: shot },
  { name: 'before its claim', who: 'child', place: at('before', 'claim'), runs: 0, end: shot },
  { name: 'after its claim', who: 'child', place: at('after', 'claim'), runs: 0, end: shot },
  { name: 'before it becomes the job', who: 'child', place: at('before', 'exec'), runs: 0, end: shot },
  { name: 'before the pid is noted', who: 'both', place: at('before', 'pid'), runs: 1, end: done },
  { name: 'before the claim', who: 'both', place: at('before', 'claim'), runs: 1, end: done },
  { name: 'after the claim', who: 'both', place: at('after', 'claim'), runs: 0, end: lost },
];

/** Without source maps: their sources are not there. */
function copyBuild(to: string): void {
  cpSync(dist, to, { recursive: true, filter: (path) => !path.endsWith('.map') });
  for (const name of readdirSync(to, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.js')) continue;
    const path = join(to, name);
    writeFileSync(path, readFileSync(path, 'utf8').replace(/^\/\/# sourceMappingURL=.*$/m, ''));
  }
}

/** The build, with a guardian that dies at this point, once. @returns the agent's module */
async function plant(
  { place, who }: KillPoint,
  language: keyof typeof guardians,
  directory: string,
): Promise<{ createAgent: typeof createAgent }> {
  const { script, die, use } = guardians[language];
  const [when, line] = place[language];
  mkdirSync(directory);
  copyBuild(join(directory, 'dist'));
  cpSync(join(project, 'package.json'), join(directory, 'package.json'));
  symlinkSync(join(project, 'node_modules'), join(directory, 'node_modules'));
  const death = die(join(directory, 'died'), who);
  const both = when === 'before' ? `${death}\n${line}` : `${line}\n${death}`;
  const parts = join(directory, 'dist/executors/process');
  edit(join(parts, script), (text) => text.replace(`  ${line}\n`, () => `  ${both}\n`));
  edit(join(parts, 'guardian.js'), use);
  const module = pathToFileURL(join(directory, 'dist/agent/agent.js')).href;
  return (await import(module)) as { createAgent: typeof createAgent };
}

function edit(path: string, change: (text: string) => string): void {
  writeFileSync(path, change(readFileSync(path, 'utf8')));
}

describe.each(['perl', 'bash'] as const)('a guardian in %s that dies', (language) => {
  it.concurrent.for(points.map((point, i) => ({ ...point, i })))('$who: $name', async (point) => {
    const directory = join(root, `${language}${point.i}`);
    const { createAgent: create } = await plant(point, language, directory);
    const log = join(directory, 'runs');
    const agent = await create({
      directory: join(directory, 'state'),
      node: 'n',
      pools: { p: { slots: 1 } },
      defaultSlots: 1,
      expire: 1000,
      clock: systemClock,
      log: quiet,
      env: process.env,
    });
    try {
      await agent.submit([
        { key: 'k', spec: { id: 'a', pool: 'p', args: ['sh', '-c', `echo ran >>'${log}'; sleep 0.3`] } },
      ]);
      const look = async (): Promise<Job> => (await agent.query(['a'])).get('a')!;
      await until(async () => /done|failed|killed/.test((await look()).state), 'the job ends');
      expect(existsSync(join(directory, 'died')), 'it gets there').toBe(true);
      expect(await look()).toMatchObject(point.end);
      const runs = existsSync(log) ? readFileSync(log, 'utf8').split('\n').length - 1 : 0;
      expect(runs).toBe(point.runs);
    } finally {
      await agent.stop('kill');
    }
  });
});

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

interface KillPoint {
  /** where the process dies, and what an agent that lives on makes of it */
  readonly name: string;
  /** a line of guardian.sh, and whether it dies before or after it */
  readonly line: string;
  readonly when: 'before' | 'after';
  /** who dies: the guardian, its child before it is the job, or both */
  readonly who?: '$BASHPID' | '$$ $BASHPID';
  readonly runs: 0 | 1;
  readonly end: Partial<Job>;
}

const done: Partial<Job> = { state: 'done', rc: 0, start_count: 1 };
const lost: Partial<Job> = { state: 'failed', reason: 'lost' };
const shot: Partial<Job> = { state: 'failed', reason: 'signal', signal: 'SIGKILL' };
const note = `printf 'pid %s %s\\n' "$name" "$stat" >&3 || refuse 'cannot write to the spool'`;
const claim = `: >"$path.stdout"`;
const exit = `printf 'exit %s %s %s\\n' "$name" "$status" "$now" >&3`;

const points: readonly KillPoint[] = [
  {
    name: 'guardian: before it reads a request',
    line: 'local job status now',
    when: 'before',
    runs: 1,
    end: done,
  },
  { name: 'guardian: before its child', line: '(launch) &', when: 'before', runs: 1, end: done },
  {
    name: 'guardian: after the start of its child',
    line: `printf 'started %s\\n' "$job"`,
    when: 'after',
    runs: 1,
    end: lost,
  },
  { name: 'guardian: before the exit status', line: exit, when: 'before', runs: 1, end: lost },
  { name: 'guardian: after the exit status', line: exit, when: 'after', runs: 1, end: done },
  {
    name: 'guardian: before it tells the end',
    line: `printf 'exited %s %s\\n' "$status" "$now"`,
    when: 'before',
    runs: 1,
    end: done,
  },
  { name: 'child: before its pid is noted', line: note, when: 'before', who: '$BASHPID', runs: 0, end: shot },
  { name: 'child: before its claim', line: claim, when: 'before', who: '$BASHPID', runs: 0, end: shot },
  { name: 'child: after its claim', line: 'claimed=$?', when: 'after', who: '$BASHPID', runs: 0, end: shot },
  {
    name: 'child: before it becomes the job',
    line: `become "$last" "$@" "$setsid" -- "\${args[@]}"`,
    when: 'before',
    who: '$BASHPID',
    runs: 0,
    end: shot,
  },
  {
    name: 'both: before the pid is noted',
    line: note,
    when: 'before',
    who: '$$ $BASHPID',
    runs: 1,
    end: done,
  },
  { name: 'both: before the claim', line: claim, when: 'before', who: '$$ $BASHPID', runs: 1, end: done },
  {
    name: 'both: after the claim',
    line: 'claimed=$?',
    when: 'after',
    who: '$$ $BASHPID',
    runs: 0,
    end: lost,
  },
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
async function plant(point: KillPoint, directory: string): Promise<{ createAgent: typeof createAgent }> {
  mkdirSync(directory);
  copyBuild(join(directory, 'dist'));
  cpSync(join(project, 'package.json'), join(directory, 'package.json'));
  symlinkSync(join(project, 'node_modules'), join(directory, 'node_modules'));
  const script = join(directory, 'dist/executors/process/guardian.sh');
  const die = `if (set -C; : >'${join(directory, 'died')}') 2>/dev/null; then kill -KILL ${point.who ?? '$$'}; fi`;
  const text = readFileSync(script, 'utf8');
  if (text.split(`  ${point.line}\n`).length !== 2)
    throw new Error(`guardian.sh has no one line ${point.line}`);
  const both = point.when === 'before' ? [die, point.line] : [point.line, die];
  writeFileSync(
    script,
    text.replace(`  ${point.line}\n`, () => `  ${both.join('\n  ')}\n`),
  );
  const module = pathToFileURL(join(directory, 'dist/agent/agent.js')).href;
  return (await import(module)) as { createAgent: typeof createAgent };
}

describe('a guardian that dies', () => {
  it.concurrent.for(points.map((point, i) => ({ ...point, i })))('$name', async (point) => {
    const directory = join(root, `p${point.i}`);
    const { createAgent: create } = await plant(point, directory);
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

import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { processStat } from '../../src/executors/process/proc.js';
import { bytesToText } from '../../src/lib/text.js';
import { Bench, eventually, text } from './harness.js';
import type { AgentFactory } from './harness.js';

const POOLS = {
  p: { slots: 4 },
  one: { slots: 1 },
  held: { hold: true },
  drained: { slots: -1 },
  short: { runtime: 0.2 },
};

/** The behaviour every implementation of AgentPort shows. */
export function agentConformance(
  name: string,
  factory: AgentFactory,
  { unknownPools = 'refuse' }: { readonly unknownPools?: 'refuse' | 'wait' } = {},
): void {
  describe(name, () => {
    let bench: Bench;
    beforeEach(async () => {
      bench = await Bench.open(factory, POOLS, { PATH: process.env['PATH'], FROM_AGENT: 'yes' });
    });
    afterEach(() => bench.close());

    describe('submission', () => submission(() => bench, unknownPools));
    describe('scheduling', () => scheduling(() => bench));
    describe('a run', () => running(() => bench));
    describe('output', () => output(() => bench));
    describe('killing', () => killing(() => bench));
    describe('again', () => again(() => bench));
  });
}

function submission(bench: () => Bench, unknownPools: 'refuse' | 'wait'): void {
  it('answers one result a request, in order, and a bad one fails alone', async () => {
    const results = await bench().agent.submit([
      { key: 'a', spec: { id: 'a', pool: 'p', args: ['true'] } },
      { key: 'b', spec: { id: 'b', pool: 'nowhere', args: ['true'] } },
      { key: 'c', spec: { id: 'c', pool: 'p', args: ['nul\0'] } },
      { key: 'd', spec: { id: 'd', pool: 'p', args: ['true'] } },
    ]);
    expect(results.map((r) => r.ok)).toEqual([true, unknownPools === 'wait', false, true]);
    if (unknownPools === 'wait') {
      expect(results[1]).toMatchObject({ job: { state: 'new', active: false } });
      return;
    }
    expect(results[1]).toMatchObject({
      error: expect.stringMatching(/unknown pool "nowhere"; known: .*\bone\b.*\bp\b/),
    });
  });

  it('takes a second submit of the same id and key as the first one', async () => {
    const first = await bench().run({ id: 'x', args: ['sh', '-c', 'echo once'] });
    const second = await bench().submit({ id: 'x', args: ['sh', '-c', 'echo once'] });
    expect(second).toMatchObject({ state: 'done', start_count: 1, seq: first.seq });
  });

  it('runs one job for the same id and key twice in a batch', async () => {
    const request = { key: 'k', spec: { id: 'x', pool: 'p', args: ['true'] } };
    const results = await bench().agent.submit([request, request]);
    expect(results.map((r) => r.ok)).toEqual([true, true]);
    expect((await bench().finished('x')).start_count).toBe(1);
  });

  it('restarts a finished job when the key is new, and refuses while it is active', async () => {
    await bench().run({ id: 'x', args: ['false'] }, '1');
    await bench().submit({ id: 'x', args: ['sleep', '60'] }, '2');
    const [refused] = await bench().agent.submit([
      { key: '3', spec: { id: 'x', pool: 'p', args: ['true'] } },
    ]);
    expect(refused).toMatchObject({ ok: false, error: expect.stringContaining('kill it before') });
    await bench().agent.kill(['x']);
    await bench().finished('x');
    const job = await bench().run({ id: 'x', args: ['true'] }, '3');
    expect(job).toMatchObject({ state: 'done', key: '3', start_count: 1, fail_count: 0 });
  });

  it('numbers changes upwards and tells listeners all states', async () => {
    await bench().run({ id: 'x', args: ['true'] });
    // a networked agent tells over another connection than it answers
    await eventually(() => bench().seen.some(({ state }) => state === 'done'));
    const seqs = bench().seen.map((job) => job.seq);
    expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
    expect(new Set(bench().seen.map((job) => job.state))).toEqual(new Set(['new', 'running', 'done']));
  });

  it('keeps the environment of a job to itself', async () => {
    const job = await bench().run({ args: ['true'], env: { SECRET: 'x' } });
    expect(JSON.stringify([job, await bench().agent.list(), bench().seen])).not.toContain('SECRET');
  });

  it('lists by state and tag', async () => {
    await bench().run({ id: 'a', args: ['true'], tags: ['t'] });
    await bench().run({ id: 'b', args: ['false'], tags: ['t', 'u'] });
    const ids = async (filter: Parameters<Bench['agent']['list']>[0]): Promise<string[]> =>
      (await bench().agent.list(filter)).map((job) => job.id).sort();
    expect(await ids({})).toEqual(['a', 'b']);
    expect(await ids({ states: ['failed'] })).toEqual(['b']);
    expect(await ids({ tag: 'u' })).toEqual(['b']);
    expect((await bench().agent.query(['a', 'zzz'])).size).toBe(1);
  });

  it('accepts any text as an id', async () => {
    const ids = [
      '../../etc/x',
      'a/b',
      'ünï',
      'new\nline',
      bytesToText('\xff\xfe'),
      'x'.repeat(5000),
      '.',
      '~',
      'a.1',
    ];
    const jobs = await Promise.all(
      ids.map((id) => bench().run({ id, args: ['sh', '-c', 'echo "$MEESEEKS_JOB_ID"'] })),
    );
    expect(jobs.map((job) => job.id)).toEqual(ids);
    expect(new Set(jobs.map((job) => job.stdout_path)).size).toBe(ids.length);
    expect(Buffer.from(jobs[4]!.stdout_data!, 'base64')).toEqual(Buffer.from([0xff, 0xfe, 0x0a]));
    expect(text(jobs[3]!.stdout_data)).toBe('new\nline\n');
  });
}

function scheduling(bench: () => Bench): void {
  it('never runs more than the slots allow', async () => {
    const go = bench().path('go');
    const wait = ['sh', '-c', `while [ ! -e ${go} ]; do sleep 0.02; done`];
    const ids = await Promise.all(
      [1, 2, 3, 4, 5, 6].map(async () => (await bench().submit({ args: wait })).id),
    );
    await Promise.all(ids.slice(0, 4).map((id) => bench().running(id)));
    expect((await bench().agent.list({ states: ['running'] })).length).toBe(4);
    expect((await bench().agent.list({ states: ['new'] })).map((job) => job.id)).toEqual(ids.slice(4));
    writeFileSync(go, '');
    await Promise.all(ids.map((id) => bench().finished(id)));
    expect(Math.max(...concurrency(bench().seen))).toBe(4);
  });

  it('starts by priority, then first come, first served', async () => {
    const log = bench().path('log');
    const spec = (
      id: string,
      priority: number,
    ): { key: string; spec: { id: string; pool: string; args: string[]; priority: number } } => ({
      key: 'k',
      spec: { id, pool: 'one', priority, args: ['sh', '-c', `echo ${id} >> ${log}`] },
    });
    await bench().agent.submit([spec('a', 0), spec('b', 0), spec('c', 5), spec('d', -1), spec('e', 5)]);
    await bench().finished('d');
    expect(readFileSync(log, 'utf8').split('\n').filter(Boolean)).toEqual(['c', 'e', 'a', 'b', 'd']);
  });

  it('queues held jobs, and jobs of held or drained pools, without starting them', async () => {
    const held = await bench().submit({ id: 'h', args: ['true'], hold: true });
    await bench().submit({ id: 'q', pool: 'held', args: ['true'] });
    await bench().submit({ id: 'r', pool: 'drained', args: ['true'] });
    await bench().run({ args: ['true'] });
    expect(held).toMatchObject({ state: 'new', active: false });
    const jobs = await bench().agent.query(['h', 'q', 'r']);
    expect([...jobs.values()].map((job) => job.state)).toEqual(['new', 'new', 'new']);
    await bench().agent.kill(['h']);
    expect((await bench().agent.query(['h'])).get('h')).toMatchObject({ state: 'killed', start_count: 0 });
  });
}

/** How many jobs ran after each event. */
function concurrency(seen: readonly { id: string; state: string }[]): number[] {
  const now = new Set<string>();
  return seen.map(({ id, state }) => {
    if (state === 'running') now.add(id);
    else now.delete(id);
    return now.size;
  });
}

function running(bench: () => Bench): void {
  it.each([0, 1, 125, 126, 127, 137, 143, 255])('tells exit code %i', async (code) => {
    const job = await bench().shell(`exit ${code}`);
    expect(job).toMatchObject({ state: code === 0 ? 'done' : 'failed', rc: code, reason: 'exit' });
    expect(job.signal).toBeUndefined();
  });

  it.each([
    ['KILL', 9],
    ['TERM', 15],
    ['SEGV', 11],
    ['INT', 2],
    ['PIPE', 13],
  ])('tells death by SIG%s', async (signal, number) => {
    const job = await bench().shell(`kill -${signal} $$`);
    expect(job).toMatchObject({ state: 'failed', rc: -number, signal: `SIG${signal}`, reason: 'signal' });
  });

  it('tells exit codes and signals apart every time', async () => {
    const endings = ['exit 137', 'kill -9 $$', 'exit 143', 'kill -15 $$', 'exit 130', 'kill -2 $$', 'exit 0'];
    const wanted = [137, -9, 143, -15, 130, -2, 0];
    const ids = Array.from({ length: 210 }, (_, i) => `e${i}`);
    await bench().agent.submit(
      ids.map((id, i) => ({ key: 'k', spec: { id, pool: 'p', args: ['sh', '-c', endings[i % 7]!] } })),
    );
    const jobs = await Promise.all(ids.map((id) => bench().finished(id)));
    expect(jobs.filter((job, i) => job.rc !== wanted[i % 7] || job.reason === 'lost')).toEqual([]);
  });

  it('is not disturbed by being stopped and continued', async () => {
    const { id } = await bench().submit({ args: ['sh', '-c', 'kill -STOP $$; exit 3'] });
    const { pid } = await bench().running(id);
    await eventually(() => readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') T '));
    process.kill(pid!, 'SIGCONT');
    expect(await bench().finished(id)).toMatchObject({ rc: 3 });
  });

  it('passes arguments byte for byte', async () => {
    const bytes = Array.from({ length: 255 }, (_, i) => String.fromCharCode(i + 1)).join('');
    const odd = [
      '',
      ' ',
      'a\nb',
      "it's",
      '"q"',
      '%s',
      '$(id)',
      '`id`',
      '\\',
      '*',
      '-n',
      '--',
      'ünï',
      '\t',
      bytesToText(bytes),
    ];
    const job = await bench().run({ args: ['printf', '%s\\0', ...odd] });
    const expected = Buffer.from(
      odd
        .slice(0, -1)
        .map((a) => `${a}\0`)
        .join(''),
    );
    expect(Buffer.from(job.stdout_data!, 'base64')).toEqual(
      Buffer.concat([expected, Buffer.from(`${bytes}\0`, 'latin1')]),
    );
  });

  it('has the environment of the agent and of the spec, and nothing else', async () => {
    const job = await bench().run({
      id: 'e',
      args: ['env', '-0'],
      env: { 'odd.name': 'v', EMPTY: '', LINES_: 'a\nb', BYTES: bytesToText('\xff'), RANDOM: '7', UID: 'u' },
      tags: ['t1', 't2'],
    });
    const variables = Buffer.from(job.stdout_data!, 'base64').toString('latin1').split('\0').filter(Boolean);
    const expected = {
      PATH: process.env['PATH'],
      FROM_AGENT: 'yes',
      'odd.name': 'v',
      EMPTY: '',
      LINES_: 'a\nb',
      BYTES: '\xff',
      RANDOM: '7',
      UID: 'u',
      MEESEEKS_JOB_ID: 'e',
      MEESEEKS_POOL: 'p',
      MEESEEKS_NODE: expect.stringMatching(/./) as string,
      MEESEEKS_TAGS: 't1,t2',
      MEESEEKS_RUN: expect.stringMatching(/^\/.*\/spool\/e\.1$/) as string,
    };
    expect(Object.fromEntries(variables.map((v) => v.split(/=(.*)/s, 2)))).toEqual(expected);
  });

  it('has its own session, default signals, no inherited files, and its working directory', async () => {
    const cwd = bench().directory;
    const stat = text((await bench().run({ args: ['cat', '/proc/self/stat'] })).stdout_data).split(' ');
    expect([stat[4], stat[5]]).toEqual([stat[0], stat[0]]);
    const signals = await bench().run({
      args: ['grep', '-E', '^Sig(Ign|Blk):.*[1-9a-f]', '/proc/self/status'],
    });
    expect([signals.rc, signals.stdout_data]).toEqual([1, '']);
    const files = await bench().run({ args: ['sh', '-c', 'echo /proc/$$/fd/*; pwd'], cwd });
    expect(text(files.stdout_data)).toMatch(/^\/proc\/\d+\/fd\/0 \S+\/1 \S+\/2( \S+\/3)?\n/); // 3: the listing itself
    expect(text(files.stdout_data).split('\n')[1]).toBe(cwd);
  });

  it.each([
    [{ args: ['no-such-program-x'] }, /no such executable: no-such-program-x \(PATH is \//],
    [{ args: ['/no/such/program'] }, /no such executable: \/no\/such\/program/],
    [{ args: ['/etc/passwd'] }, /not executable: \/etc\/passwd/],
    [{ args: ['/tmp'] }, /not executable: \/tmp/],
    [
      { args: ['true'], cwd: '/no/where' },
      /cannot change to the working directory: \/no\/where: No such file/,
    ],
    [{ args: ['true'], stdin: '/no/where/in' }, /cannot open the stdin file: \/no\/where\/in: No such file/],
    [
      { args: ['true'], stdout: '/no/where/out' },
      /cannot open the stdout file: \/no\/where\/out: No such file/,
    ],
    [
      { args: ['true'], stderr: '/no/where/err' },
      /cannot open the stderr file: \/no\/where\/err: No such file/,
    ],
    [{ args: ['true', 'x'.repeat(200_000)] }, /argument 1 is too long/],
    [{ args: ['true', ...Array.from({ length: 30 }, () => 'x'.repeat(100_000))] }, /argument list too long/],
  ])('fails with a reason when it cannot start: %#', async (spec, error) => {
    const job = await bench().run(spec);
    expect(job).toMatchObject({
      state: 'failed',
      reason: 'start',
      fail_count: 1,
      error: expect.stringMatching(error),
    });
    expect(job.error).not.toContain('\n');
    expect(await bench().run({ args: ['true'] })).toMatchObject({ state: 'done' });
  });
}

function output(bench: () => Bench): void {
  it('collects both streams, privately', async () => {
    const job = await bench().shell('echo out; echo err >&2');
    expect([text(job.stdout_data), text(job.stderr_data)]).toEqual(['out\n', 'err\n']);
    expect(statSync(job.stdout_path!).mode & 0o777).toBe(0o600);
    expect(readFileSync(job.stderr_path!, 'utf8')).toBe('err\n');
  });

  it('reads stdin from the file, and appends to the files named', async () => {
    writeFileSync(bench().path('in put'), 'data');
    writeFileSync(bench().path('o ut'), 'before ');
    const spec = {
      stdin: bench().path('in put'),
      stdout: bench().path('o ut'),
      stderr: bench().path('o ut'),
    };
    const job = await bench().shell('cat; echo " err" >&2', spec);
    expect(readFileSync(bench().path('o ut'), 'utf8')).toBe('before data err\n');
    expect(job).toMatchObject({ stdout_path: bench().path('o ut'), stderr_path: bench().path('o ut') });
    expect(job.stdout_data).toBeUndefined();
  });

  it('has an empty stdin without a file', async () => {
    const job = await bench().run({ args: ['cat'] });
    expect([job.state, job.stdout_data]).toEqual(['done', '']);
  });

  it('does not wait for who holds the output open', async () => {
    const job = await bench().shell('sleep 600 & echo $!; echo end');
    const [child] = text(job.stdout_data).split('\n');
    expect(processStat(Number(child))).toBeDefined();
    process.kill(Number(child), 'SIGKILL');
  });

  it('bounds what a record holds, and keeps all of it in the spool', async () => {
    const job = await bench().shell('head -c 52428800 /dev/zero; echo end');
    const data = Buffer.from(job.stdout_data!, 'base64');
    expect(data.length).toBe(1024 * 1024);
    expect(data.subarray(-4).toString()).toBe('end\n');
    expect(statSync(job.stdout_path!).size).toBe(52428800 + 4);
    expect(JSON.stringify(await bench().agent.list()).length).toBeLessThan(5000);
  });
}

function killing(bench: () => Bench): void {
  it('ends the whole tree, also what left the group or the session', async () => {
    const pids = bench().path('pids');
    const script = `sleep 61 & echo $! >> ${pids}; setsid sleep 62 & echo $! >> ${pids};
      sh -c 'sleep 63 & echo $! >> ${pids}; wait' & set -m; sleep 64 & echo $! >> ${pids}; wait`;
    const { id } = await bench().submit({ args: ['bash', '-c', script] });
    await eventually(() => existsSync(pids) && readFileSync(pids, 'utf8').split('\n').length === 5);
    await bench().agent.kill([id]);
    const job = await bench().finished(id);
    expect(job).toMatchObject({ state: 'killed', reason: 'kill', active: false });
    for (const pid of readFileSync(pids, 'utf8').trim().split('\n'))
      expect(processStat(Number(pid))).toBeUndefined();
  });

  it('ends daemons: what left its session, and whose parents are gone', async () => {
    const pids = bench().path('pids');
    const daemon = `setsid sh -c 'setsid sleep 65 </dev/null >/dev/null 2>&1 & echo $! >> ${pids}'`;
    const deaf = `setsid sh -c '(trap "" TERM; setsid sh -c "for i in 1 2 3 4 5 6 7 8 9; do sleep 1; done" & echo $! >> ${pids})'`;
    const { id } = await bench().submit({
      args: ['sh', '-c', `(${daemon} &); (${deaf} &); sleep 66 & echo $! >> ${pids}; wait`],
      kill_grace: 0.3,
    });
    const foreign = bench().path('foreign');
    const other = await bench().run({
      args: ['sh', '-c', `setsid sh -c 'setsid sleep 67 </dev/null >/dev/null 2>&1 & echo $! > ${foreign}'`],
    });
    await eventually(() => existsSync(pids) && readFileSync(pids, 'utf8').split('\n').length === 4);
    const started = readFileSync(pids, 'utf8').trim().split('\n').map(Number);
    // the second has forgotten its parents, else this would prove nothing
    await eventually(() => started.filter((pid) => processStat(pid)?.session === pid).length === 2);
    await bench().agent.kill([id]);
    expect(await bench().finished(id)).toMatchObject({ state: 'killed' });
    for (const pid of started) expect(processStat(pid)).toBeUndefined();
    // what another job has left behind is not ours to end
    expect(other.state).toBe('done');
    await eventually(() => existsSync(foreign) && readFileSync(foreign, 'utf8') !== '');
    const left = Number(readFileSync(foreign, 'utf8'));
    expect(processStat(left)).toBeDefined();
    process.kill(left, 'SIGKILL');
  });

  it('uses SIGKILL on what ignores SIGTERM, also when its leader has ended', async () => {
    const pid = bench().path('pid');
    const stubborn = `trap '' TERM; echo $$ > ${pid}; while :; do sleep 0.1; done`;
    const { id } = await bench().submit({
      args: ['sh', '-c', `sh -c "$0" & wait`, stubborn],
      kill_grace: 0.3,
    });
    await eventually(() => existsSync(pid) && readFileSync(pid, 'utf8') !== '');
    const killed = Date.now();
    await bench().agent.kill([id]);
    expect(await bench().finished(id)).toMatchObject({ state: 'killed', signal: 'SIGTERM', rc: -15 });
    expect(processStat(Number(readFileSync(pid, 'utf8')))).toBeUndefined();
    expect(Date.now() - killed).toBeGreaterThanOrEqual(290);
  });

  it('counts a job as killed even when it ends well on SIGTERM, and gives it the time to', async () => {
    const ready = bench().path('ready');
    const script = `trap 'sleep 0.2; echo bye; exit 0' TERM; : > ${ready}; while :; do sleep 0.05; done`;
    const { id } = await bench().submit({ args: ['sh', '-c', script] });
    await eventually(() => existsSync(ready));
    await bench().agent.kill([id]);
    const job = await bench().finished(id);
    expect(job).toMatchObject({ state: 'killed', rc: 0 });
    expect(text(job.stdout_data)).toContain('bye');
  });

  it('changes nothing about a finished or unknown job', async () => {
    const job = await bench().run({ args: ['true'] });
    await bench().agent.kill([job.id, 'unknown']);
    expect((await bench().agent.query([job.id])).get(job.id)).toMatchObject({ state: 'done', seq: job.seq });
  });

  it('ends a job that waits for a FIFO to be opened', async () => {
    const fifo = bench().path('fifo');
    await bench().run({ args: ['mkfifo', fifo] });
    const { id } = await bench().submit({ args: ['cat'], stdin: fifo });
    await bench().running(id);
    await bench().agent.kill([id]);
    expect(await bench().finished(id)).toMatchObject({ state: 'killed' });
  });

  it('kills what runs longer than its own or its pool’s runtime', async () => {
    const own = bench().run({ args: ['sleep', '60'], runtime: 0.2 });
    const pool = bench().run({ pool: 'short', args: ['sleep', '60'], runtime: 50 });
    for (const job of await Promise.all([own, pool]))
      expect(job).toMatchObject({ state: 'failed', reason: 'timeout', fail_count: 1, signal: 'SIGTERM' });
  });
}

function again(bench: () => Bench): void {
  it('retries failures, as often as asked', async () => {
    const job = await bench().shell('exit 4', { retries: 1 });
    expect(job).toMatchObject({ state: 'failed', rc: 4, start_count: 2, fail_count: 2 });
  });

  it('retries an overrun as a failure', async () => {
    const mark = bench().path('mark');
    const job = await bench().shell(`[ -e ${mark} ] || { : > ${mark}; sleep 60; }`, {
      retries: 3,
      runtime: 2,
    });
    expect(job).toMatchObject({ state: 'done', start_count: 2, fail_count: 1 });
  });

  it.each([{ restart: true }, { resubmit: true }])(
    'starts again with %o, without spinning, until killed',
    async (how) => {
      const { id } = await bench().submit({ args: ['true'], ...how });
      await bench().until(id, (job) => job.start_count === 3);
      const starts = bench()
        .seen.filter((job) => job.state === 'running' && job.pid === undefined)
        .map((j) => j.start_ts!);
      expect(starts[1]! - starts[0]!).toBeGreaterThanOrEqual(0.9);
      await bench().agent.kill([id]);
      expect(await bench().finished(id)).toMatchObject({ state: 'killed' });
    },
  );
}

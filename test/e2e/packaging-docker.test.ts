import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';

/** No container engine is asked: what the Dockerfile says, and what it puts together, run as far as it goes without. */
const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const dockerfile = read('packaging/docker/Dockerfile');
const USER_ID = 13_700;

interface Instruction {
  readonly name: string;
  readonly text: string;
}
interface Stage {
  readonly base: string;
  readonly name: string;
  readonly instructions: readonly Instruction[];
}

function instructionsOf(text: string): Instruction[] {
  return text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, name = '', rest = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
      return { name, text: rest };
    });
}

function stagesOf(text: string): Stage[] {
  const stages: { base: string; name: string; instructions: Instruction[] }[] = [];
  for (const instruction of instructionsOf(text)) {
    const [base = '', , name = ''] = instruction.text.split(' ');
    if (instruction.name === 'FROM') stages.push({ base, name, instructions: [] });
    else stages.at(-1)?.instructions.push(instruction);
  }
  return stages;
}

const textsOf = (stage: Stage, name: string): string[] =>
  stage.instructions.filter((one) => one.name === name).map(({ text }) => text);

interface Copy {
  readonly from: string | undefined;
  readonly sources: readonly string[];
  readonly target: string;
}
const copiesOf = (stage: Stage): Copy[] =>
  textsOf(stage, 'COPY').map((text) => {
    const words = text.split(' ');
    const from = /^--from=(.+)$/.exec(words[0]!)?.[1];
    const paths = from === undefined ? words : words.slice(1);
    return { from, sources: paths.slice(0, -1), target: paths.at(-1)! };
  });

/** What the engine is sent: `.dockerignore` is a list of exceptions from `*`. */
function isSent(path: string, ignore: string): boolean {
  const sent = ignore.split('\n').filter((line) => line.startsWith('!'));
  return sent.some((line) => path === line.slice(1) || path.startsWith(`${line.slice(1)}/`));
}

/** Everything that can be seen to be wrong by reading. */
function problemsOf(text: string, ignore: string): string[] {
  const stages = stagesOf(text);
  const last = stages.at(-1)!;
  const problems: string[] = [];
  const major = Number(/^ARG NODE_VERSION=(\d+)$/m.exec(text)?.[1]);
  if (!(major >= 20)) problems.push('NODE_VERSION names no major version of Node that works');
  for (const { base } of stages)
    if (!/^node:\$\{NODE_VERSION\}-bookworm(-slim)?$/.test(base)) problems.push(`base ${base} is not pinned`);
  for (const stage of stages)
    for (const { from, sources } of copiesOf(stage)) {
      if (from !== undefined && !stages.some(({ name }) => name === from)) problems.push(`no stage ${from}`);
      if (from !== undefined) continue;
      for (const source of sources)
        if (!existsSync(join(root, source)) || !isSent(source, ignore)) problems.push(`no ${source} to copy`);
    }
  const names = last.instructions.map(({ name }) => name);
  const [user = 'root'] = textsOf(last, 'USER');
  if (user === 'root' || user === '0') problems.push('runs as root');
  if (names.lastIndexOf('RUN') > names.indexOf('USER')) problems.push('USER comes before the last RUN');
  if (last.instructions.some((one) => one.name === 'RUN' && one.text.includes('npm')))
    problems.push('npm runs in the last stage');
  for (const name of ['ENTRYPOINT', 'CMD', 'HEALTHCHECK', 'VOLUME', 'EXPOSE', 'STOPSIGNAL'])
    if (!names.includes(name)) problems.push(`no ${name}`);
  return problems;
}

describe('the Dockerfile', () => {
  const ignore = read('.dockerignore');
  const last = stagesOf(dockerfile).at(-1)!;

  it('has nothing wrong that reading shows', () => {
    expect(problemsOf(dockerfile, ignore)).toEqual([]);
  });

  it('is refused when something is', () => {
    const planted: readonly (readonly [string | RegExp, string, string])[] = [
      ['USER meeseeks', 'USER root', 'runs as root'],
      ['ARG NODE_VERSION=20', 'ARG NODE_VERSION=latest', 'NODE_VERSION'],
      ['node:${NODE_VERSION}-bookworm-slim', 'node:latest', 'not pinned'],
      ['COPY src ./src', 'COPY sources ./src', 'no sources'],
      ['COPY src ./src', 'COPY docs ./src', 'no docs'],
      ['--from=build', '--from=built', 'no stage built'],
      [/^HEALTHCHECK.*$/m, '', 'no HEALTHCHECK'],
      ['WORKDIR /var/lib/meeseeks', 'RUN npm ci', 'USER comes before'],
    ];
    for (const [from, to, problem] of planted)
      expect(problemsOf(dockerfile.replace(from, to), ignore).join('; ')).toContain(problem);
  });

  it('starts and asks programs that the image has', () => {
    const argv = (name: string): string[] =>
      JSON.parse(/\[.*\]$/.exec(textsOf(last, name)[0]!)![0]) as string[];
    expect(argv('ENTRYPOINT')).toEqual(['/usr/bin/tini', '--']);
    expect(textsOf(last, 'RUN').join()).toContain('--no-install-recommends tini');
    const { bin } = JSON.parse(read('package.json')) as { bin: Record<string, string> };
    for (const name of ['CMD', 'HEALTHCHECK']) expect(Object.keys(bin)).toContain(argv(name)[0]);
    for (const [name, path] of Object.entries(bin)) expect(path).toBe(`dist/bin/${name}.js`);
    expect(textsOf(last, 'RUN').join()).toContain('for name in box client watch;');
    expect(copiesOf(last).map(({ target }) => target)).toContain(argv('CMD')[1]);
  });

  it('compose builds it, with everything closed that can be', () => {
    const { services } = parse(read('packaging/docker/compose.yaml')) as {
      services: Record<string, Record<string, unknown>>;
    };
    expect(services['box']).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
      build: { context: '../..', dockerfile: 'packaging/docker/Dockerfile' },
    });
  });
});

const canUnshare =
  process.getuid?.() === 0 && spawnSync('unshare', ['--mount', '--pid', '--fork', 'true']).status === 0;

describe.skipIf(!canUnshare)('what it puts together (needs root and unshare)', () => {
  let scratch: string;
  beforeEach(() => {
    scratch = mkdtempSync(join(tmpdir(), 'meeseeks-image-'));
    chmodSync(scratch, 0o755);
    assemble();
  });
  afterEach(() => rmSync(scratch, { recursive: true, force: true, maxRetries: 20, retryDelay: 10 }));

  /** The COPY instructions of the last stage; what the other stages make is here already. */
  function assemble(): void {
    for (const name of ['app', 'root']) mkdirSync(join(scratch, name));
    for (const { sources, target } of copiesOf(stagesOf(dockerfile).at(-1)!))
      for (const source of sources) {
        const from = join(root, source.replace(/^\/app\//, ''));
        const inApp = target.startsWith('.');
        const to = inApp
          ? join(scratch, 'app', target === './' ? source : target)
          : join(scratch, 'root', target);
        mkdirSync(dirname(to), { recursive: true });
        if (source.endsWith('/node_modules')) mkdirSync(to);
        else cpSync(from, to, { recursive: true, filter: (path) => !path.endsWith('.map') });
      }
    mkdirSync(join(scratch, 'root/run/secrets'), { recursive: true });
    const token = join(scratch, 'root/run/secrets/meeseeks-token');
    writeFileSync(token, 'of the test\n', { mode: 0o400 });
    chownSync(token, USER_ID, USER_ID);
  }

  const contain = (script: string): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(
      'unshare',
      [
        '--mount',
        '--pid',
        '--fork',
        '--kill-child',
        '--net',
        'bash',
        join(root, 'test/support/container.sh'),
        join(scratch, 'root'),
        join(scratch, 'app'),
        realpathSync(join(root, 'node_modules')),
        process.execPath,
        script,
      ],
      // unshare does not pass signals on
      { encoding: 'utf8', timeout: 120_000, killSignal: 'SIGKILL' },
    );

  it('runs the agent as its user on a read-only root: healthy, a job runs, and it drains on the stop signal', () => {
    const health = /CMD (\[.*\])$/m.exec(dockerfile)![1]!;
    const probe = (JSON.parse(health) as string[]).join(' ');
    const { status, stdout, stderr } = contain(`
      meeseeks-box /etc/meeseeks/box.cfg 2>/tmp/log & box=$!
      until ${probe} >/dev/null 2>&1; do kill -0 $box || { cat /tmp/log >&2; exit 9; }; sleep 0.05; done
      id -u
      { touch /app/x || touch /etc/x || touch /usr/x; } 2>/dev/null && echo writable
      job=$(meeseeks-client sub cpu sh -c 'until [ -e /var/lib/meeseeks/go ]; do sleep 0.05; done; echo ended >/var/lib/meeseeks/end' | node -p 'Object.keys(JSON.parse(fs.readFileSync(0)))[0]')
      until meeseeks-client get $job | grep -q running; do sleep 0.05; done
      kill -INT $box
      until grep -q 'waiting for .* running job' /tmp/log; do kill -0 $box || exit 8; sleep 0.05; done
      touch /var/lib/meeseeks/go
      wait $box; echo "stopped $?"
      cat /var/lib/meeseeks/end`);
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: `${USER_ID}\nstopped 0\nended\n`,
      stderr: '',
    });
  });

  it('does not start without a token, and says what is missing', () => {
    rmSync(join(scratch, 'root/run/secrets/meeseeks-token'));
    const { status, stderr } = contain('exec meeseeks-box /etc/meeseeks/box.cfg');
    expect(status).not.toBe(0);
    expect(stderr).toContain('listen.token_file: /run/secrets/meeseeks-token');
  });

  it('runs watcher and client, too', () => {
    const { status, stdout, stderr } = contain('meeseeks-watch --version && meeseeks-client --version');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^(\d+\.\d+\.\d+\n){2}$/);
  });
});

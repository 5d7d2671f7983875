import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { jsonSchema } from '../../src/config/json-schema.js';
import { boxReferenceMarkdown, referenceMarkdown } from '../../src/config/reference.js';
import { freePort } from '../support/free-port.js';
import { blocksOf, type Block } from '../support/markdown.js';
import { until } from '../support/service.js';

/**
 * The documentation says only what is so. A comment before a fenced block says what is done with it, see
 * CONTRIBUTING.md; blocks that look like something to run or to load, and have none, fail.
 */
const root = fileURLToPath(new URL('../..', import.meta.url));
const cli = join(root, 'dist/bin/meeseeks-watch.js');
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'docs/operations.md',
  'docs/readiness.md',
  'docs/agent.md',
  'docs/performance.md',
  'docs/protocol.md',
  'docs/client.md',
  'docs/architecture.md',
  'docs/dependencies.md',
  'docs/migrating.md',
];
const read = (page: string): string => readFileSync(join(root, page), 'utf8');

const MUST_BE_MARKED = new Set(['sh', 'bash', 'shell', 'console', 'json', 'jsonc', 'yaml', 'yml']);

const KNOWN_MARK = /^(run( exit \d+)?|file \S+|config|wire [12](, after \S+)?|skip, .+)$/;

/** Lines of blocks that say nothing of what to do with them, or something nobody knows. */
function unmarked(markdown: string): number[] {
  return blocksOf(markdown)
    .filter(({ language, mark }) =>
      mark === undefined ? MUST_BE_MARKED.has(language) : !KNOWN_MARK.test(mark),
    )
    .map(({ line }) => line);
}

/** Targets of links and images, without those of the web and of the same page. */
function linksOf(markdown: string): { target: string; anchor: string | undefined }[] {
  const prose = markdown.replaceAll(/^```[^]*?^```/gm, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$/gm)]
    .map((match) => match[1] ?? match[2]!)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path = '', anchor] = target.split('#');
      return { target: path, anchor };
    });
}

const anchorsOf = (markdown: string): string[] =>
  [...markdown.matchAll(/^#+ (.+)$/gm)].map((match) =>
    match[1]!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );

function brokenLinks(page: string, markdown: string): string[] {
  return linksOf(markdown)
    .filter(({ target, anchor }) => {
      const path = target === '' ? join(root, page) : join(root, dirname(page), target);
      if (!existsSync(path)) return true;
      const text =
        path === join(root, page) ? markdown : anchor === undefined ? '' : readFileSync(path, 'utf8');
      return anchor !== undefined && !anchorsOf(text).includes(anchor);
    })
    .map(({ target, anchor }) => (anchor === undefined ? target : `${target}#${anchor}`));
}

const help = (...args: string[]): string =>
  spawnSync(process.execPath, [cli, ...args, '--help'], { encoding: 'utf8' }).stdout;

interface KnownCommands {
  readonly commands: ReadonlySet<string>;
  readonly options: ReadonlySet<string>;
}

function knownCommands(): KnownCommands {
  const general = help();
  const commands = new Set(
    [...(/^COMMANDS$[^]*?^[A-Z]/m.exec(general)?.[0] ?? '').matchAll(/^ {2}([a-z-]+) {2}/gm)].map(
      (match) => match[1]!,
    ),
  );
  const all = [general, ...[...commands].map((command) => help(command))].join('\n');
  return { commands, options: new Set([...all.matchAll(/--[a-z-]+/g)].map((match) => match[0])) };
}

/** Uses of the command line that the program does not have: `meeseeks-watch frobnicate`, `--frob`. */
function unknownUses(markdown: string, { commands, options }: KnownCommands): string[] {
  const code = [...markdown.matchAll(/`([^`\n]+)`|^(.*meeseeks-watch .*)$/gm)].map((m) => m[1] ?? m[2]!);
  return code.flatMap((text) => {
    const calls = [...text.matchAll(/(?<![\w/.-])meeseeks-watch ((?:-\S+ )*)([a-z][a-z-]*)(?=[\s`]|$)/g)];
    const odd = calls.map((call) => call[2]!).filter((word) => !commands.has(word) && !isProse(text, word));
    const isOurs = /meeseeks-watch /.test(text) || /^--[a-z-]+( |$)/.test(text);
    const flags = isOurs ? [...text.matchAll(/(?<=^|\s)--[a-z][a-z-]*/g)].map((flag) => flag[0]) : [];
    return [...odd, ...flags.filter((flag) => !options.has(flag))];
  });
}

/** Outside code, a word behind the name is only a word: "meeseeks-watch watches". */
const isProse = (text: string, word: string): boolean => text.includes(`\`meeseeks-watch\` ${word}`);

describe('the documentation', () => {
  let known: KnownCommands;
  beforeAll(() => {
    if (!existsSync(cli)) throw new Error(`${cli} is missing; run npm run build`);
    known = knownCommands();
  });

  it.each(pages)('%s: every block says what to do with it, links lead somewhere, commands exist', (page) => {
    const markdown = read(page);
    expect(unmarked(markdown), 'lines of blocks without a <!-- test: ... --> that is known').toEqual([]);
    expect(brokenLinks(page, markdown)).toEqual([]);
    expect(unknownUses(markdown, known)).toEqual([]);
  });

  it('has a current reference and schema', () => {
    const advice = 'run npm run docs:generate';
    expect(read('docs/configuration.md'), advice).toBe(referenceMarkdown());
    expect(read('docs/agent-configuration.md'), advice).toBe(boxReferenceMarkdown());
    expect(JSON.parse(read('docs/meeseeks-watch.schema.json')), advice).toEqual(
      JSON.parse(JSON.stringify(jsonSchema())),
    );
  });

  it('names every dependency with the version and licence that is installed', () => {
    const { dependencies, devDependencies } = JSON.parse(read('package.json')) as {
      dependencies: Record<string, string>;
      devDependencies: Record<string, string>;
    };
    const rows = Object.keys({ ...dependencies, ...devDependencies }).map((name) => {
      const { version, license } = JSON.parse(read(`node_modules/${name}/package.json`)) as {
        version: string;
        license: string;
      };
      return `| ${name} | ${version} | ${license} |`;
    });
    const text = read('docs/dependencies.md');
    expect(rows.filter((row) => !text.includes(row))).toEqual([]);
    const listed = [...text.matchAll(/^\| (?!package|---)(\S+) \|/gm)].map((match) => match[1]!);
    expect(listed.sort()).toEqual(Object.keys({ ...dependencies, ...devDependencies }).sort());
  });
});

/** @returns whether there is such a process of ours */
function kill(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

describe('the blocks', () => {
  let sandbox: string;
  /** and the few after it */
  let port: number;
  const environment = () => ({
    ...process.env,
    PATH: `${join(sandbox, 'bin')}:${process.env['PATH'] ?? ''}`,
    HOME: join(sandbox, 'home'),
    XDG_STATE_HOME: join(sandbox, 'state'),
    TMPDIR: sandbox,
    MEESEEKS_WATCH_CONF: '',
  });

  beforeEach(async () => {
    port = await freePort(10);
    sandbox = realpathSync(mkdtempSync(join(tmpdir(), 'meeseeks-docs-')));
    for (const name of ['bin', 'home', 'work']) mkdirSync(join(sandbox, name));
    for (const name of ['meeseeks-watch', 'meeseeks-box', 'meeseeks-client'])
      writeFileSync(join(sandbox, 'bin', name), program(name), { mode: 0o755 });
    // the first command of the README starts in a fresh clone: here the build is there already
    writeFileSync(join(sandbox, 'bin/npm'), '#!/bin/sh\n[ "$*" = ci ]\n', { mode: 0o755 });
    cpSync(join(root, 'examples'), join(sandbox, 'work/examples'), { recursive: true });
    symlinkSync(join(root, 'dist'), join(sandbox, 'work/dist'));
  });

  /** A program on a port of the test, in place of 13700 and those after it; agents are ended after the page. */
  const program = (name: string): string => `#!/bin/bash
args=()
[[ ${name} != meeseeks-client ]] || args+=("port=${port}")
for arg; do
  if [[ $arg =~ ^(listen\\.)?port=1370([0-9])$ ]]; then arg="\${BASH_REMATCH[1]}port=$((${port} + BASH_REMATCH[2]))"; fi
  args+=("$arg")
done
if [[ ${name} == meeseeks-box ]]; then
  echo $$ >>'${sandbox}/agents'
  [[ " \${args[*]} " == *' listen.port'* || $1 == --* || $1 == completion ]] || args+=("listen.port=${port}")
fi
exec '${process.execPath}' '${join(root, 'dist/bin')}/${name}.js' "\${args[@]}"
`;

  afterEach(async () => {
    const agents = join(sandbox, 'agents');
    const pids = existsSync(agents) ? readFileSync(agents, 'utf8').trim().split('\n').map(Number) : [];
    for (const signal of ['SIGINT', 'SIGINT'] as const) for (const pid of pids) kill(pid, signal);
    for (const pid of pids) await until(() => !kill(pid, 0), `agent ${pid} of the page ends`);
    rmSync(sandbox, { recursive: true, force: true, maxRetries: 20, retryDelay: 10 });
  });

  /** Runs text with `bash -eu`; a watcher that it starts must end by itself. */
  function run(text: string): { status: number | null; output: string } {
    const { status, stdout, stderr } = spawnSync('bash', ['-euc', text], {
      cwd: join(sandbox, 'work'),
      env: environment(),
      encoding: 'utf8',
      timeout: 120_000,
    });
    return { status, output: stdout + stderr };
  }

  function check(page: string, block: Block): string | undefined {
    const { mark = '', text, language, line } = block;
    const where = `${page}:${line}`;
    if (mark.startsWith('run')) {
      const wanted = Number(/^run exit (\d+)$/.exec(mark)?.[1] ?? 0);
      const { status, output } = run(text);
      return status === wanted ? undefined : `${where}: exit code ${status}, not ${wanted}\n${output}`;
    }
    if (mark !== 'config' && !mark.startsWith('file ')) return undefined;
    const name = mark === 'config' ? `block-${line}.${language}` : mark.slice('file '.length);
    writeFileSync(join(sandbox, 'work', name), text);
    if (mark !== 'config') return undefined;
    const { status, output } = run(`meeseeks-watch validate '${name}'`);
    return status === 0 && !output.includes('warning') ? undefined : `${where}: ${output}`;
  }

  const checkAll = (page: string, markdown: string): string[] =>
    blocksOf(markdown)
      .map((block) => check(page, block))
      .filter((problem) => problem !== undefined);

  it.each(pages)('of %s run and validate', { timeout: 600_000 }, (page) => {
    expect(checkAll(page, read(page))).toEqual([]);
  });

  it('are refused when they are wrong, so that passing means something', { timeout: 300_000 }, () => {
    const fenced = (mark: string, language: string, text: string): string =>
      `<!-- test: ${mark} -->\n\`\`\`${language}\n${text}\n\`\`\`\n`;
    const planted = [
      fenced('run', 'sh', 'false'),
      fenced('run', 'sh', 'false; true'),
      fenced('run exit 4', 'sh', 'true'),
      fenced('config', 'json', '{ "watch": { "a": { "path": "x", "glob": "*" } } }'),
      fenced('config', 'yaml', 'watch: {a: {path: x, glob: "*", min_aeg: 1, jobs: [{pool: p, args: [x]}]}}'),
    ];
    expect(planted.filter((markdown) => checkAll('planted', markdown).length !== 1)).toEqual([]);
  });
});

describe('the checks of the documentation', () => {
  it('see an unmarked block, and a mark that nobody knows', () => {
    expect(unmarked('text\n\n```sh\ntrue\n```\n')).toEqual([3]);
    expect(unmarked('<!-- test: rnu -->\n```sh\ntrue\n```\n')).toEqual([2]);
    expect(unmarked('<!-- test: run -->\n```sh\ntrue\n```\n```sh\ntrue\n```\n')).toEqual([5]);
    expect(unmarked('<!-- test: run -->\n```sh\ntrue\n```\n```text\nanything\n```\n')).toEqual([]);
    expect(unmarked('<!-- test: skip -->\n```sh\ntrue\n```\n')).toEqual([2]);
  });

  it('see a link to nowhere', () => {
    const text = '# A b\n[x](nowhere.md) [y](LICENSE) [z](#a-b) [q](#c) [w](https://example.org/x)\n';
    expect(brokenLinks('README.md', text)).toEqual(['nowhere.md', '#c']);
  });

  it('see commands and options that do not exist', () => {
    const known = { commands: new Set(['plan']), options: new Set(['--json']) };
    expect(
      unknownUses('`meeseeks-watch frob x` and `meeseeks-watch plan --json --frob a.cfg`', known),
    ).toEqual(['frob', '--frob']);
    expect(unknownUses('`--frob` and `--json`', known)).toEqual(['--frob']);
  });
});

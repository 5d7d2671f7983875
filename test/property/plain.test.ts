import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { jobSpec } from '../../src/protocol/job.js';
import { isPlainSpec, isPlainSubmit } from '../../src/protocol/plain.js';
import { wireSubmit } from '../../src/protocol/wire.js';
import { parseLine } from '../../src/server/json.js';
import { LineParser } from '../../src/server/line-parser.js';
import { normalise, plainSpec } from '../../src/server/spec.js';

// what is right for some keys, wrong for others, and in another form for a few
const value = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<unknown>('', 'q', '/tmp', 'x\ud800', '12', 'true', '*', 'a\0b') },
  { weight: 3, arbitrary: fc.constantFrom<unknown>(0, 1, -1, 2.5, 1e300, 2 ** 60, Infinity, -0) },
  { weight: 3, arbitrary: fc.constantFrom<unknown>(true, false, null, undefined) },
  {
    weight: 4,
    arbitrary: fc.array(fc.constantFrom<unknown>('a', '', 'b', 1, true, null), { maxLength: 3 }),
  },
  {
    weight: 2,
    arbitrary: fc.dictionary(fc.constantFrom('A', 'B', ''), fc.constantFrom<unknown>('x', '', 1)),
  },
  { weight: 1, arbitrary: fc.constantFrom('{"__proto__":"x"}', '{"cwd":"/"}', '{}').map(parsed) },
);
function parsed(text: string): unknown {
  return JSON.parse(text);
}
const right = {
  id: fc.constantFrom('j', 'x'.repeat(16_384), 'x'.repeat(16_385)),
  pool: fc.constant('q'),
  args: fc.constantFrom(['a'], ['a', 'b', ''], []),
  node: fc.constantFrom('n', ''),
  env: fc.constantFrom({}, { A: 'x', B: '' }),
  hold: fc.boolean(),
  restart: fc.boolean(),
  resubmit: fc.boolean(),
  retries: fc.nat(3),
  priority: fc.integer({ min: -2, max: 2 }),
  runtime: fc.constantFrom(0, 0.5, 3),
  kill_grace: fc.constantFrom(0, 1.5),
  tags: fc.constantFrom([], ['t'], ['t', 'u']),
  key: fc.constantFrom('k', ''),
  submitter: fc.constantFrom('s', 'x'.repeat(256), 'x'.repeat(257)),
  state: fc.constantFrom('new', 'killed'),
  cwd: fc.constantFrom('/', ''),
  stdin: fc.constant('/in'),
  stdout: fc.constant('/out'),
  stderr: fc.constant('/err'),
};
const odd = fc.constantFrom(...Object.keys(right), 'uid', 'gid', 'config', 'other', '__proto__');
const { key: _key, submitter: _submitter, state: _state, ...rightOfSpec } = right;
/** Keys in any order, nearly all of them right. */
const keysLike = (good: fc.Arbitrary<object>): fc.Arbitrary<Record<string, unknown>> =>
  fc
    .tuple(good, fc.array(fc.tuple(odd, value), { maxLength: 1 }), fc.infiniteStream(fc.nat(1000)))
    .map(([some, bad, ranks]) => {
      const entries = [...Object.entries(some), ...bad].map((entry) => ({ entry, rank: ranks.next().value }));
      const sorted = entries.sort((a, b) => a.rank - b.rank).map(({ entry }) => entry);
      return Object.fromEntries(sorted);
    });
const many = { numRuns: Number(process.env['SIMULATIONS'] ?? 3000) };
const text = (json: unknown): string => JSON.stringify(json);

it('what is plain is what the schema of a job makes of it', () => {
  let plain = 0;
  fc.assert(
    fc.property(keysLike(fc.record(rightOfSpec, { requiredKeys: ['pool', 'args'] })), (spec) => {
      if (!isPlainSpec(spec)) return;
      plain++;
      expect(jobSpec.parse(spec)).toEqual(spec);
    }),
    many,
  );
  expect(plain).toBeGreaterThan(many.numRuns / 100);
});

it('a plain submit is what the schema of the wire and the form of the agent make of it, in the same order', () => {
  let plain = 0;
  fc.assert(
    fc.property(keysLike(fc.record(right, { requiredKeys: [] })), (raw) => {
      if (!isPlainSubmit(raw)) return;
      plain++;
      const keysOfWire = wireSubmit.parse(raw);
      expect(keysOfWire).toEqual(raw);
      const { id: _id, key: _key, submitter: _s, pool: _p, node: _n, state: _st, ...rest } = keysOfWire;
      expect(text(plainSpec(raw))).toBe(text(normalise(rest, raw)));
    }),
    many,
  );
  expect(plain).toBeGreaterThan(many.numRuns / 100);
});

it.each<[string, unknown, boolean]>([
  ['nothing more than a pool', { pool: 'q' }, true],
  ['a number for a text', { pool: 'q', args: ['sleep', 5] }, false],
  ['null for nothing', { pool: 'q', cwd: null }, false],
  ['no text at all', null, false],
  ['a list', [], false],
])('plain or not: %s', (_, argument, expected) => {
  expect(isPlainSubmit(argument)).toBe(expected);
});

const env = { A: '/some/value', B: 'x"y\\', env: '}', Z: 'é\ud800' };
const other = { ...env, A: 'another' };
const fragment = fc.constantFrom(
  text([{ submit: { pool: 'q', args: ['a'], env } }]),
  text([{ submit: { pool: 'q', args: ['\\"env":', '"env":{"A":"x"}'], env } }]),
  text([{ submit: { pool: 'q', env } }, { submit: { env, id: 'x' } }]),
  text([{ submit: { pool: 'q', env: other } }]),
  text([{ submit: { pool: 'q', env: {} } }]),
  text([{ submit: { pool: 'q', config: { env }, env } }]),
  text([{ submit: { pool: 'q', config: { env } } }]),
  text([{ submit: { pool: 'q', env: { A: 1 } } }]),
  text([{ modify: { j: { env } } }]),
  text({ submit: { env } }),
  text([{ submit: env }]),
  text([{ submit: { [`x\\"env`]: env } }]),
  text([{ submit: { [`"env":${text(env)}`]: 1 } }]),
  `[{"submit":{"env":${text(env)},"env":1}}]`,
  `[{"submit":{"env":1,"env":${text(env)}}}]`,
  `[{"submit":{"env": ${text(env)} , "pool":"q"}}]`,
  `[{"submit":{"env": ${text(env)}x, "pool":"q"}}]`,
  `[{"submit":{"env":${text(env)}}`,
  `["env":${text(env)}]`,
  `"env":${text(env)}`,
  `[{"submit":{"env":{"A":"x","__proto__":"y"}}}]`,
  '[1]',
  'null',
  // bytes that are no UTF-8, in the environment and beside it
  ...[env, { A: 'x' }].map((one) =>
    Buffer.concat([
      Buffer.from(`[{"submit":{"args":["`),
      Buffer.from([0xff, 0xc3]),
      Buffer.from(`"],"env":${text(one)}}}]`),
    ]),
  ),
  Buffer.concat([Buffer.from(`[{"submit":{"env":{"A":"`), Buffer.from([0xc3]), Buffer.from(`"}}}]`)]),
  Buffer.from(`[{"submit":{"args":["é\u{1f600}"],"env":${text(env)}}}]`),
  Buffer.from('\ufeff[{"submit":{"env":{"A":"x"}}}]'),
);

it('lines with the same environment again and again are parsed as any other', () => {
  fc.assert(
    fc.property(fc.array(fragment, { minLength: 1, maxLength: 12 }), (lines) => {
      const parser = new LineParser();
      for (const line of lines) {
        const buffer = Buffer.from(line as string);
        expect(outcome(() => parser.parse(buffer))).toEqual(outcome(() => parseLine(buffer)));
      }
    }),
    many,
  );
});

function outcome(parse: () => unknown): unknown {
  try {
    return parse();
  } catch (error) {
    return String(error);
  }
}

it('an environment that came before is the same object, and nobody can change it', () => {
  const parser = new LineParser();
  const envOf = (line: string): unknown =>
    (parser.parse(Buffer.from(line)) as { submit: { env: unknown } }[])[0]!.submit.env;
  const line = text([{ submit: { pool: 'q', env } }]);
  expect([envOf(line), envOf(line)]).toEqual([env, env]);
  const third = envOf(line);
  expect(third).toBe(envOf(text([{ submit: { env, pool: 'other' } }])));
  expect(Object.isFrozen(third)).toBe(true);
  expect(envOf(text([{ submit: { env: other } }]))).toEqual(other);
});

it('an environment that is too large is not remembered', () => {
  const line = (large: string): Buffer => Buffer.from(text([{ submit: { env: { LARGE: large } } }]));
  const parser = new LineParser();
  const frozen = (large: string): boolean[] =>
    [1, 2, 3].map(() => {
      const [{ submit }] = parser.parse(line(large)) as [{ submit: { env: object } }];
      return Object.isFrozen(submit.env);
    });
  expect(frozen('x'.repeat(20_000))).toEqual([false, false, false]);
  expect(parser).toMatchObject({ last: undefined });
  expect(frozen('x'.repeat(10_000))).toEqual([false, false, true]);
});

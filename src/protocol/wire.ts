import { z } from 'zod';

/**
 * What may stand in a line of the wire. Texts of errors say what was expected. `null` counts as absent: clients of the
 * Python original send it for what they do not know. Numbers and flags may be texts, as its command line sends them.
 */

/** Longer ids are refused: they are keys in maps, names in logs, and most likely an accident. */
export const LONGEST_ID = 16_384;

const jobId = z
  .string({ error: 'a job id' })
  .min(1, { error: 'a job id, not an empty one' })
  .max(LONGEST_ID, { error: `a job id of at most ${LONGEST_ID} characters` });
const text = z.string({ error: 'a text' });
const number = z.union(
  [
    z.number(),
    z
      .string()
      .regex(/^-?\d+(\.\d+)?$/, { error: 'a number' })
      .transform(Number),
  ],
  { error: 'a number' },
);
const whole = number.refine(Number.isSafeInteger, { error: 'a whole number' });
const flag = z.union(
  [
    z.boolean(),
    z.literal([0, 1]).transform((value) => value === 1),
    z.enum(['0', '1', 'true', 'false']).transform((value) => value === '1' || value === 'true'),
  ],
  { error: 'true or false' },
);
const word = z.union([z.string(), z.number(), z.boolean()], { error: 'a text or a number' });
const optional = <T extends z.ZodType>(type: T) => type.nullish().transform((value) => value ?? undefined);

/** The keys of a job that a submitter may set, apart from its id and its pool. */
export const wireKeys = z.object({
  args: optional(
    z.union([text, z.array(word, { error: 'a list: ["executable", "argument", ...]' })], {
      error: 'a list: ["executable", "argument", ...]',
    }),
  ),
  cwd: optional(text),
  env: optional(z.record(z.string(), word, { error: 'a mapping of variables' })),
  stdin: optional(text),
  stdout: optional(text),
  stderr: optional(text),
  runtime: optional(number.refine((value) => value >= 0, { error: 'a number of seconds, 0 or more' })),
  hold: optional(flag),
  restart: optional(flag),
  resubmit: optional(flag),
  retries: optional(whole.refine((value) => value >= 0, { error: 'a whole number, 0 or more' })),
  priority: optional(whole),
  kill_grace: optional(number.refine((value) => value >= 0, { error: 'a number of seconds, 0 or more' })),
  uid: optional(z.union([z.string(), z.int()], { error: 'a user' })),
  gid: optional(z.union([z.string(), z.int()], { error: 'a group' })),
  config: optional(
    z.strictObject(
      { cwd: optional(text), env: optional(z.record(z.string(), word)) },
      { error: 'a mapping of cwd and env; other settings of a task are not known here' },
    ),
  ),
  tags: optional(
    z.union(
      [text.transform((one) => [one]), z.array(z.union([word, z.null()]), { error: 'a list of tags' })],
      {
        error: 'a list of tags',
      },
    ),
  ),
});
export type WireKeys = z.infer<typeof wireKeys>;

/** The argument of `submit`: a new job, or changes of one that exists. Unknown keys are dropped. */
export const wireSubmit = wireKeys.extend({
  id: optional(jobId),
  pool: optional(text.min(1, { error: 'the name of a pool' })),
  node: optional(
    z.union([text, z.array(text), z.literal(false).transform(() => undefined)], {
      error: 'the name of a node, or a list of them',
    }),
  ),
  state: optional(text),
  key: optional(text.min(1, { error: 'a key, not an empty one' })),
  submitter: optional(text.max(256, { error: 'a text of at most 256 characters' })),
});
export type WireSubmit = z.infer<typeof wireSubmit>;

/** Which jobs: their ids, or what they look like. Other keys are compared with the attribute of that name. */
export const wireFilter = z.looseObject(
  {
    ids: optional(
      z.union([jobId.transform((id) => [id]), z.array(jobId, { error: 'a list of job ids' })], {
        error: 'a job id, or a list of them',
      }),
    ),
    tag: optional(z.union([word, z.array(word)], { error: 'a tag, or a list of them' })),
    ts: optional(number),
    seq: optional(number),
  },
  { error: 'a filter: {"ids": [...], "state": ..., "pool": ..., "tag": ..., "seq": ...}' },
);
export type WireFilter = z.infer<typeof wireFilter>;

/** Who asks, and what it understands. Without `hello` a connection speaks protocol 1, the original's. */
export const wireHello = z.object(
  { protocol: z.literal([1, 2], { error: '1 or 2' }).default(1), token: optional(text) },
  { error: '{"protocol": 2}' },
);

const position = whole.refine((value) => value >= 0, { error: 'a whole number, 0 or more' });

/** Which part of what a job writes. */
export const wireOutput = z.object(
  {
    id: jobId,
    stream: optional(z.enum(['stdout', 'stderr'], { error: 'stdout or stderr' })),
    offset: optional(position),
    limit: optional(position),
    run: optional(position),
  },
  { error: 'a mapping: {"id": ..., "stream": "stdout", "offset": 0, "limit": 65536}' },
);

/** How many jobs, and which of them to show. */
export const wireStat = z.object(
  {
    filter: optional(wireFilter),
    newest: optional(position.refine((value) => value <= 10_000, { error: 'at most 10000' })),
    active: optional(flag),
  },
  { error: 'a mapping: {"filter": {...}, "newest": 20, "active": false}' },
);
export type WireStat = z.infer<typeof wireStat>;

export const wireId = jobId;
export const wireIds = z.union([jobId.transform((id) => [id]), z.array(jobId)], {
  error: 'a job id, or a list of them',
});
export const wireOptions = z.object({ pretty: optional(flag), env: optional(flag), output: optional(flag) });

/** The protocol this program speaks. */
export const PROTOCOL = 2;

import { z } from 'zod';
import { poolSchema, rootSchema } from './schema.js';
import { sslSchema } from './ssl-schema.js';

/** The configuration of meeseeks-box. Key names and meanings are the document's; times are seconds. */

const text = (what: string) => z.string({ error: what }).min(1, { error: `${what}, not an empty one` });
const seconds = z
  .number({ error: 'a number of seconds' })
  .nonnegative({ error: 'a number of seconds, 0 or more' });
const positiveSeconds = z
  .number({ error: 'a number of seconds' })
  .positive({ error: 'a number of seconds above 0' });
const flag = z.union([z.boolean(), z.literal(0), z.literal(1)], { error: 'true or false' });
const port = (least: 0 | 1) =>
  z
    .int({ error: `a port, ${least} to 65535` })
    .min(least, { error: `a port, ${least} to 65535` })
    .max(65_535, { error: `a port, ${least} to 65535` });
export const listenSchema = z.strictObject({
  address: text('a host name, an address or the path of a socket')
    .optional()
    .describe('address to listen at, or the path of a UNIX socket; default localhost'),
  prefix: text('the start of an address')
    .optional()
    .describe(
      'without an address: listen at the address of this host that starts with this text, such as 10.1.; at localhost when there is none',
    ),
  port: z
    .union([port(0), z.literal(false)], { error: 'a port, 0 to 65535, or false' })
    .optional()
    .describe('default 13700; 0 chooses a free one, false listens at no port'),
  path: text('the path of a socket').optional().describe('UNIX socket to listen at as well'),
  mode: text('a mode such as "0600"')
    .regex(/^0?[0-7]{3}$/, { error: 'a mode such as "0600"' })
    .optional()
    .describe('mode of the UNIX socket: who may connect; default 0600'),
  ssl: sslSchema.optional().describe('TLS, in the form of a Python SSLContext'),
  token: text('a token').optional().describe('what clients must know to use the port; better in token_file'),
  token_file: text('a file name')
    .optional()
    .describe('file that holds the token; only its owner and group may read it'),
  insecure: flag.optional().describe('true: listen at any address without client certificates or a token'),
  max_connections: z
    .int({ error: 'a whole number above 0' })
    .positive({ error: 'a whole number above 0' })
    .optional()
    .describe('most connections at a time, default 4096'),
  timeout: positiveSeconds
    .optional()
    .describe('seconds a line may take to arrive, and an answer to be read; default 60'),
});

export const stateSchema = z.strictObject({
  expire: seconds
    .optional()
    .describe('seconds a finished job is kept after its end, once its submitter has seen it; default 60'),
  expire_active_jobs: flag
    .optional()
    .describe('jobs on nodes that went away expire; nothing is lost on this node, whatever it is'),
  timeout: seconds
    .optional()
    .describe('seconds without news after which a node counts as offline, default 60'),
  file: text('a file name')
    .optional()
    .describe('where a copy of all jobs is kept, as JSON; read when the state is empty'),
  checkpoint: positiveSeconds
    .optional()
    .describe('seconds between copies to `file`; the state itself is always on disk'),
  history: text('a file name')
    .optional()
    .describe('file every finished job is appended to, one JSON line each, once, also over a crash'),
});

export const nodeSchema = z.strictObject({
  address: text('a host name').optional().describe('default: the name of the node'),
  port: port(1).optional().describe('default 13700'),
  ssl: sslSchema.optional().describe('TLS, in the form of a Python SSLContext'),
  refresh: positiveSeconds.optional().describe('seconds between synchronisations, default 1'),
  poll: positiveSeconds.optional().describe('seconds between questions for the status, default 10'),
  timeout: positiveSeconds.optional().describe('seconds to connect, send or receive, default 10'),
});

export const boxPoolSchema = z.strictObject({
  ...poolSchema.shape,
  slots: poolSchema.shape.slots.describe('jobs at a time; 0 (default) no limit, -1 drains the pool'),
  update: positiveSeconds.optional().describe('does nothing here: running jobs cannot expire'),
  plugin: z.unknown().optional(),
});

const section = (what: string) => z.looseObject({}, { error: what });

/** The top level of the configuration of meeseeks-box. */
export const boxSchema = z.strictObject({
  $schema: z.string({ error: 'a text' }).optional().describe('JSON Schema for editors; ignored'),
  name: text('a name').optional().describe('name of this node; default: the host name'),
  logging: rootSchema.shape.logging,
  defaults: section('a mapping of defaults').optional().describe('defaults of all other sections'),
  listen: listenSchema.optional().describe('where clients connect'),
  state: stateSchema.optional().describe('how long jobs are known'),
  nodes: z
    .record(z.string(), nodeSchema, { error: 'a mapping of nodes' })
    .optional()
    .describe('downstream nodes'),
  pools: z
    .record(z.string(), boxPoolSchema, { error: 'a mapping of pools' })
    .optional()
    .describe('pools of this node'),
  use_loadavg: flag.optional().describe('choose nodes by their load instead of their free slots'),
  wait_in_pool: flag.optional().describe('jobs that wait for a slot already belong to the node'),
  user: z
    .union([text('a user'), z.int()], { error: 'a user' })
    .optional()
    .describe('user to run as, when started as root'),
  group: z
    .union([text('a group'), z.int()], { error: 'a group' })
    .optional()
    .describe('group to run as; default: the one of the user'),
  state_dir: text('a directory').optional().describe('directory of the state'),
  on_stop: rootSchema.shape.on_stop,
});

/** For the types of command line arguments: `defaults` takes the keys of all sections. */
export const boxTypes = z.object({
  ...boxSchema.shape,
  defaults: z.union([listenSchema, stateSchema, nodeSchema, boxPoolSchema]),
});

export type SslConfig = z.infer<typeof sslSchema>;
export type ListenConfig = z.infer<typeof listenSchema>;
export type StateConfig = z.infer<typeof stateSchema>;

import { z } from 'zod';
import { sslSchema } from './ssl-schema.js';

/**
 * The single source of the configuration: types, validation, the JSON Schema for editors and the reference
 * page in docs/ all come from here. Key names and meanings are the document's; times are seconds.
 */

// The text of an error is what was expected: validation puts what was found and where beside it.
const seconds = z
  .number({ error: 'a number of seconds' })
  .nonnegative({ error: 'a number of seconds, 0 or more' });
const positiveSeconds = z
  .number({ error: 'a number of seconds' })
  .positive({ error: 'a number of seconds above 0' });
/** seconds */
export const DEFAULT_LEASE = 30;
const leaseSeconds = z
  .number({ error: 'a number of seconds' })
  .min(1, { error: 'a number of seconds, 1 or more' });
const count = (least: 0 | 1) =>
  z
    .int({ error: `a whole number, ${least} or more` })
    .min(least, { error: `a whole number, ${least} or more` });
const text = (what: string) => z.string({ error: what }).min(1, { error: `${what}, not an empty one` });
const texts = (one: string, many: string) =>
  z.union([text(one), z.array(text(one), { error: many })], { error: `${one} or a list of them` });
/** The document writes booleans as 0 and 1 in places (`cleanup=0`, `restart=1`). */
const flag = z.union([z.boolean(), z.literal(0), z.literal(1)], { error: 'true or false' });
const plainValue = z.union([z.string(), z.number(), z.boolean()], {
  error: 'a text, a number, true or false',
});
const nonEmpty = <T extends z.ZodType>(item: T, what: string) =>
  z.array(item, { error: what }).min(1, { error: `${what}, not an empty one` });

const section = (what: string) => z.looseObject({}, { error: what });

/** A number in a job spec may be written as a placeholder; it is converted when the job is rendered. */
const rendered = <T extends z.ZodType>(type: T, what: string) => {
  const expected = { error: `${what}, or a placeholder such as %(key)s` };
  return z.union([type, z.string().regex(/%\(/, expected)], expected);
};

/** What a job spec of a watch may hold: the submit keys of the protocol, strings with placeholders. */
export const jobTemplate = z.strictObject({
  id: text('a job id').optional().describe('job id; default: derived from the file identity and the attempt'),
  pool: text('the name of a pool').describe(
    'pool the job runs in; the embedded agent makes one for every name used',
  ),
  args: z
    .union([text('a command'), nonEmpty(plainValue, 'a list of arguments')], {
      error: 'a list: ["executable", "argument", ...]',
    })
    .describe('the command: [executable, argument, ...]; never parsed by a shell'),
  node: text('a node name or pattern')
    .optional()
    .describe('node or node pattern (agents with several nodes)'),
  cwd: text('a directory').optional().describe('working directory; default: where the agent was started'),
  env: z
    .record(z.string(), plainValue, { error: 'a mapping of variables' })
    .optional()
    .describe('environment variables to add'),
  stdin: text('a file name').optional().describe('file for standard input; default: empty'),
  stdout: text('a file name').optional().describe('file the output is appended to; default: a spool file'),
  stderr: text('a file name')
    .optional()
    .describe('file the error output is appended to; default: a spool file'),
  runtime: rendered(positiveSeconds, 'a number of seconds above 0')
    .optional()
    .describe('longest run time in seconds; an overrun is killed and counts as a failure'),
  hold: rendered(flag, 'true or false')
    .optional()
    .describe('true: wait in the queue until somebody sets it to false'),
  restart: rendered(flag, 'true or false').optional().describe('true: start again each time it succeeds'),
  retries: rendered(count(0), 'a whole number, 0 or more')
    .optional()
    .describe('how often the agent itself reruns it after a failure'),
  resubmit: rendered(flag, 'true or false')
    .optional()
    .describe('true: start again each time it ends, however it ends'),
  priority: rendered(z.int(), 'a whole number')
    .optional()
    .describe('higher starts first; equal ones first come, first served'),
  kill_grace: rendered(seconds, 'a number of seconds, 0 or more')
    .optional()
    .describe('seconds between SIGTERM and SIGKILL, default 10'),
  tags: z
    .array(plainValue, { error: 'a list of labels' })
    .optional()
    .describe('labels that queries can match'),
});
export type JobTemplate = z.infer<typeof jobTemplate>;

const emptySpec = z.union([z.null(), z.strictObject({})]).describe('do nothing');
const jobEntry = z.union(
  [emptySpec, jobTemplate, nonEmpty(z.union([emptySpec, jobTemplate]), 'a list of job specs')],
  { error: 'a job spec, a list of job specs, {} or null' },
);

const globs = texts('a pattern', 'a list of patterns');
const templateNames = texts('the name of a template', 'a list of template names');

export const readySchema = z.strictObject({
  stable: seconds
    .optional()
    .describe('size, mtime and ctime must stay unchanged this many seconds, as observed'),
  sentinel: text('a file name')
    .optional()
    .describe(
      'a file that must exist, e.g. %(filename)s.done; beside the file, or inside a watched directory',
    ),
  check: nonEmpty(z.string({ error: 'a text' }), 'a list: ["executable", "argument", ...]')
    .optional()
    .describe('a command that must exit 0, e.g. ["gzip","-t","%(file)s"]; it runs as a job in the same pool'),
  closed: flag.optional().describe('no process we can see may hold the file open for writing; default true'),
});

const joinKey = z.union([count(0), nonEmpty(text('the name of a capture'), 'a list of captures')], {
  error: 'a whole number, 0 or more, or a list of captures',
});

/** One watch, after its templates are applied. */
export const watchSchema = z.looseObject({
  template: templateNames.optional().describe('template(s) this watch or template builds on'),
  path: text('a directory')
    .optional()
    .describe(
      'directory to watch, required with a glob or pattern; a relative one starts at the current directory',
    ),
  glob: globs
    .optional()
    .describe(
      'pattern, or list of patterns for several lists; without any, the jobs are simply kept running',
    ),
  pattern: texts('a regular expression', 'a list of regular expressions')
    .optional()
    .describe(
      'regular expression(s) with named captures, beside or instead of glob; found anywhere in the name unless anchored; one a list, or a single one for all lists',
    ),
  exclude: globs.optional().describe('patterns of names to leave alone'),
  recursive: flag
    .default(false)
    .describe('also look below path; globs without a slash match the name in any folder'),
  type: z
    .enum(['file', 'directory'], { error: '"file" or "directory"' })
    .default('file')
    .describe('what counts as data'),
  reverse: flag
    .default(false)
    .describe('sort oldest first (A to Z); default newest first (Z to A, byte order)'),
  split: text('a text such as "."')
    .optional()
    .describe('text to split file names on, for %(0)s, %(1)s, ... and fileset'),
  fileset: joinKey
    .optional()
    .describe('join the lists into sets: how many leading parts must be equal, or the captures to join on'),
  match: joinKey.optional().describe('the same as fileset'),
  partial: z
    .union([z.boolean(), count(0)], { error: 'true, false or the least number of lists' })
    .default(false)
    .describe(
      'accept incomplete sets: true for any, or the least number of lists present; without a file of the first list, the first file of the next one stands for the set',
    ),
  skip: count(0)
    .default(0)
    .describe(
      'leave the first n files or sets of the order alone; they get their jobs when newer ones arrive',
    ),
  updated: flag.default(false).describe('process a file again when its mtime changes (first job only)'),
  retry: flag.default(true).describe('reprocess files whose job failed; false makes .failed final'),
  retries: count(0).optional().describe('how many reruns a failed file gets; default: no limit'),
  retry_delay: seconds.default(30).describe('seconds before the first rerun; doubled each time'),
  retry_max_delay: seconds.default(3600).describe('longest delay between reruns'),
  run_all: flag
    .default(true)
    .describe("true: run all jobs from 0 to the file's index in sequence; false: only the one of its index"),
  min_age: seconds
    .default(0)
    .describe('seconds since the later of mtime and ctime before a file is considered'),
  max_age: seconds.optional().describe('files with an older mtime are not considered'),
  max_index: count(0).optional().describe('last index jobs are submitted for; 0 means only the first file'),
  max_jobs: count(1).default(1000).describe('most jobs of this watch in flight at a time'),
  count: count(1).default(1).describe('without globs: how many copies of each job are kept running'),
  refresh: seconds
    .default(10)
    .describe('seconds between checks of running jobs, a safety net: changes are followed as they happen'),
  rescan: positiveSeconds.default(60).describe('seconds between full scans; events only shorten the wait'),
  cleanup: z
    .union([z.boolean(), seconds], { error: 'true or false' })
    .default(true)
    .describe('remove markers of files that are gone; 0 or false keeps them'),
  ready: readySchema.optional().describe('evidence that a file is complete; all given must hold'),
  state_path: text('a directory').optional().describe('directory for the markers when the data is read-only'),
  store: z
    .enum(['marker', 'sqlite', 'xattr'], { error: '"marker", "sqlite" or "xattr"' })
    .default('marker')
    .describe('where results are recorded; only marker works yet'),
  lease: z
    .union([z.boolean(), z.literal(0), leaseSeconds], {
      error: 'true, false or a number of seconds, 1 or more',
    })
    .optional()
    .describe(
      'seconds after which a watcher on another machine takes over from one that died; true for 30, 0 or false for no such watchers; default: 30 on network file systems, otherwise false',
    ),
  events: flag
    .default(true)
    .describe('use file-system events; false relies on rescan alone (network mounts)'),
  jobs: nonEmpty(jobEntry, 'a list of job specs')
    .optional()
    .describe('job(s) for the first file of the order, for the next, ...; the last for all others'),
});

export const poolSchema = z.strictObject({
  slots: z
    .int({ error: 'a whole number, -1 or more' })
    .min(-1, { error: 'a whole number, -1 or more' })
    .optional()
    .describe('jobs at a time; 0 no limit, -1 drains the pool; default: number of CPUs'),
  max_runtime: positiveSeconds.nullable().optional().describe('longest run time of any job here, in seconds'),
  runtime: positiveSeconds.nullable().optional().describe('the same as max_runtime'),
  drain: flag.optional().describe('true: accept no new jobs'),
  hold: flag.optional().describe('true: queue jobs but start none'),
});

export const clientSchema = z.looseObject({
  address: text('a host name or the path of a socket')
    .optional()
    .describe('host name or path of a UNIX socket; default localhost'),
  port: z
    .int({ error: 'a port, 1 to 65535' })
    .min(1, { error: 'a port, 1 to 65535' })
    .max(65535, { error: 'a port, 1 to 65535' })
    .optional()
    .describe('default 13700'),
  refresh: seconds.optional().describe('seconds between polls of an agent that cannot push'),
  timeout: seconds.optional().describe('seconds to connect, send or receive'),
  ssl: sslSchema.optional().describe('TLS, in the form of a Python SSLContext'),
  token: text('a token').optional().describe('what the agent wants to be told; better in token_file'),
  token_file: text('a file name').optional().describe('file that holds the token'),
  env: z
    .union(
      [z.string({ error: 'all, none or names' }), z.array(text('a name'), { error: 'all, none or names' })],
      {
        error: '"all", "none", or names of variables',
      },
    )
    .optional()
    .describe(
      "variables of the watcher's environment that its jobs get: all (default), none, or a list of names; the agent of the Python original, which shows them to anybody, gets them only if this is set",
    ),
});

const levelNames = ['trace', 'debug', 'info', 'warn', 'warning', 'error', 'fatal', 'critical'] as const;
/** the levels of Python's logging */
const levelNumbers = [10, 20, 30, 40, 50] as const;
const levelText = 'trace, debug, info, warn, error, fatal or a level of Python (10, 20, 30, 40, 50)';

/** The top level of the configuration of meeseeks-watch, before templates are applied. */
export const rootSchema = z.strictObject({
  $schema: z.string({ error: 'a text' }).optional().describe('JSON Schema for editors; ignored'),
  name: text('a name').optional().describe('name of this watcher; names its state directory and its node'),
  defaults: section('a mapping of defaults').optional().describe('defaults of all other sections'),
  apply: templateNames
    .optional()
    .describe('template(s) to apply to all watches; they are then named <template>-<name>'),
  client: clientSchema.optional().describe('agent to use; without it an agent is embedded'),
  template: z
    .record(z.string(), section('a mapping: the keys of the template'), { error: 'a mapping of templates' })
    .optional()
    .describe('watch templates; one named null applies to all'),
  watch: z
    .record(z.string(), section('a mapping: the keys of the watch'), { error: 'a mapping of watches' })
    .optional()
    .describe('the watches'),
  pools: z
    .record(z.string(), poolSchema, { error: 'a mapping of pools' })
    .optional()
    .describe('pools of the embedded agent'),
  state_dir: text('a directory')
    .optional()
    .describe('directory for the state of the watcher and the embedded agent'),
  on_stop: z
    .enum(['leave', 'drain', 'kill'], { error: '"leave", "drain" or "kill"' })
    .optional()
    .describe('what a stop does to running jobs; default: SIGTERM leaves, Ctrl-C drains'),
  expire: seconds
    .optional()
    .describe('seconds a finished job is kept after its result was recorded, default 86400'),
  logging: z
    .looseObject(
      {
        level: z
          .union([z.enum(levelNames), z.literal(levelNumbers)], { error: levelText })
          .optional()
          .describe('least important messages that are logged'),
      },
      { error: 'a mapping of logging settings' },
    )
    .optional()
    .describe('level: trace, debug, info, warn, error, or the numbers of Python'),
});
export type PoolConfig = z.infer<typeof poolSchema>;
export type ClientConfig = z.infer<typeof clientSchema>;

/** A watch with every default filled in and every alias resolved: what the planner works on. */
export interface WatchDefinition {
  readonly name: string;
  /** directory as text, absolute; undefined for watches that only keep jobs running */
  readonly path: string | undefined;
  readonly lists: readonly FileList[];
  readonly exclude: readonly string[];
  readonly recursive: boolean;
  readonly type: 'file' | 'directory';
  readonly reverse: boolean;
  readonly split: string | undefined;
  /** undefined: no filesets; number: leading parts; list: names of captures */
  readonly fileset: number | readonly string[] | undefined;
  /** least number of lists that must be present; the number of lists when partial is off */
  readonly leastLists: number;
  readonly skip: number;
  readonly updated: boolean;
  /** reruns after a failure; Infinity for no limit, 0 when retry is false */
  readonly retries: number;
  readonly retryDelay: number;
  readonly retryMaxDelay: number;
  readonly runAll: boolean;
  readonly minAge: number;
  readonly maxAge: number | undefined;
  readonly maxIndex: number | undefined;
  readonly maxJobs: number;
  readonly count: number;
  readonly refresh: number;
  readonly rescan: number;
  readonly cleanup: boolean;
  readonly ready: {
    readonly stable: number | undefined;
    readonly sentinel: string | undefined;
    readonly check: readonly string[] | undefined;
    readonly closed: boolean;
  };
  readonly statePath: string | undefined;
  readonly store: 'marker' | 'sqlite' | 'xattr';
  /** seconds; 0 for none, `auto` where other machines may share the directory */
  readonly lease: number | 'auto';
  readonly events: boolean;
  readonly steps: readonly JobStep[];
  /** every key of the merged watch, for %(key)s */
  readonly keys: Readonly<Record<string, unknown>>;
}

/** One list of files: a name must match the glob and the pattern, where given. */
export interface FileList {
  readonly glob: string | undefined;
  readonly pattern: string | undefined;
}

/**
 * An entry of `jobs`. `single`: one spec for the files of every list (null: do nothing). `lists`: a spec a
 * list, the last one for any further lists (null: the files are marked as processed at once).
 */
export type JobStep =
  | { readonly kind: 'single'; readonly spec: JobTemplate | null }
  | { readonly kind: 'lists'; readonly specs: readonly (JobTemplate | null)[] };

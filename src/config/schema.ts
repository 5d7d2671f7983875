import { z } from 'zod';

/**
 * The single source of the configuration: types, validation, the JSON Schema for editors and the reference
 * page in docs/ all come from here. Key names and meanings are the document's; times are seconds.
 */

const seconds = z.number().nonnegative();
/** A number in a job spec may be written as a placeholder; it is converted when the job is rendered. */
const rendered = <T extends z.ZodType>(type: T) =>
  z.union([type, z.string().regex(/%\(/, 'a placeholder such as %(key)s')]);

/** What a job spec of a watch may hold: the submit keys of the protocol, strings with placeholders. */
export const jobTemplate = z.strictObject({
  id: z
    .string()
    .min(1)
    .optional()
    .describe('job id; default: derived from the file identity and the attempt'),
  pool: z.string().min(1).describe('pool the job runs in; the embedded agent makes one for every name used'),
  args: z
    .union([z.string().min(1), z.array(z.union([z.string(), z.number(), z.boolean()])).min(1)])
    .describe('the command: [executable, argument, ...]; never parsed by a shell'),
  node: z.string().optional().describe('node or node pattern (agents with several nodes)'),
  cwd: z.string().optional().describe('working directory; default: where the agent was started'),
  env: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
    .optional()
    .describe('environment variables to add'),
  stdin: z.string().optional().describe('file for standard input; default: empty'),
  stdout: z.string().optional().describe('file the output is appended to; default: a spool file'),
  stderr: z.string().optional().describe('file the error output is appended to; default: a spool file'),
  runtime: rendered(z.number().positive())
    .optional()
    .describe('longest run time in seconds; an overrun is killed and counts as a failure'),
  hold: rendered(z.boolean()).optional().describe('true: wait in the queue until somebody sets it to false'),
  restart: rendered(z.boolean()).optional().describe('true: start again each time it succeeds'),
  retries: rendered(z.int().nonnegative())
    .optional()
    .describe('how often the agent itself reruns it after a failure'),
  resubmit: rendered(z.boolean()).optional().describe('true: start again each time it ends, however it ends'),
  priority: rendered(z.int()).optional().describe('higher starts first; equal ones first come, first served'),
  kill_grace: rendered(seconds).optional().describe('seconds between SIGTERM and SIGKILL, default 10'),
  tags: z
    .array(z.union([z.string(), z.number(), z.boolean()]))
    .optional()
    .describe('labels that queries can match'),
});
export type JobTemplate = z.infer<typeof jobTemplate>;

const emptySpec = z.union([z.null(), z.strictObject({})]);
const jobEntry = z.union([emptySpec, jobTemplate, z.array(z.union([emptySpec, jobTemplate])).min(1)]);

const globs = z.union([z.string().min(1), z.array(z.string().min(1))]);

export const readySchema = z.strictObject({
  stable: seconds
    .optional()
    .describe('size, mtime and ctime must stay unchanged this many seconds, as observed'),
  sentinel: z
    .string()
    .min(1)
    .optional()
    .describe(
      'a file that must exist, e.g. %(filename)s.done; beside the file, or inside a watched directory',
    ),
  check: z
    .array(z.string())
    .min(1)
    .optional()
    .describe('a command that must exit 0, e.g. ["gzip","-t","%(file)s"]; it runs as a job in the same pool'),
  closed: z
    .boolean()
    .optional()
    .describe('no process we can see may hold the file open for writing; default true'),
});

/** One watch, after its templates are applied. */
export const watchSchema = z.looseObject({
  template: globs.optional().describe('template(s) this watch or template builds on'),
  path: z.string().min(1).optional().describe('directory to watch; required unless no glob is set'),
  glob: globs
    .optional()
    .describe(
      'pattern, or list of patterns for several lists; without any, the jobs are simply kept running',
    ),
  pattern: z
    .union([z.string().min(1), z.array(z.string().min(1))])
    .optional()
    .describe('regular expression(s) with named captures, beside or instead of glob; one a list'),
  exclude: globs.optional().describe('patterns of names to leave alone'),
  recursive: z
    .boolean()
    .default(false)
    .describe('also look below path; globs without a slash match the name in any folder'),
  type: z.enum(['file', 'directory']).default('file').describe('what counts as data'),
  reverse: z
    .boolean()
    .default(false)
    .describe('sort oldest first (A to Z); default newest first (Z to A, byte order)'),
  split: z
    .string()
    .min(1)
    .optional()
    .describe('text to split file names on, for %(0)s, %(1)s, ... and fileset'),
  fileset: z
    .union([z.int().nonnegative(), z.array(z.string().min(1)).min(1)])
    .optional()
    .describe('join the lists into sets: how many leading parts must be equal, or the captures to join on'),
  match: z
    .union([z.int().nonnegative(), z.array(z.string().min(1)).min(1)])
    .optional()
    .describe('the same as fileset'),
  partial: z
    .union([z.boolean(), z.int().positive()])
    .default(false)
    .describe('accept incomplete sets: true for any, or the least number of lists present'),
  skip: z
    .int()
    .nonnegative()
    .default(0)
    .describe(
      'leave the first n files or sets of the order alone; they get their jobs when newer ones arrive',
    ),
  updated: z
    .boolean()
    .default(false)
    .describe('process a file again when its mtime changes (first job only)'),
  retry: z.boolean().default(true).describe('reprocess files whose job failed; false makes .failed final'),
  retries: z.int().nonnegative().optional().describe('how many reruns a failed file gets; default: no limit'),
  retry_delay: seconds.default(30).describe('seconds before the first rerun; doubled each time'),
  retry_max_delay: seconds.default(3600).describe('longest delay between reruns'),
  run_all: z
    .boolean()
    .default(true)
    .describe("true: run all jobs from 0 to the file's index in sequence; false: only the one of its index"),
  min_age: seconds
    .default(0)
    .describe('seconds since the later of mtime and ctime before a file is considered'),
  max_age: seconds.optional().describe('files with an older mtime are not considered'),
  max_index: z
    .int()
    .nonnegative()
    .optional()
    .describe('last index jobs are submitted for; 0 means only the first file'),
  max_jobs: z.int().positive().default(1000).describe('most jobs of this watch in flight at a time'),
  count: z
    .int()
    .positive()
    .default(1)
    .describe('without globs: how many copies of each job are kept running'),
  refresh: seconds
    .default(10)
    .describe('seconds between checks of running jobs, a safety net: changes are followed as they happen'),
  rescan: z
    .number()
    .positive()
    .default(60)
    .describe('seconds between full scans; events only shorten the wait'),
  cleanup: z
    .union([z.boolean(), seconds])
    .default(true)
    .describe('remove markers of files that are gone; 0 or false keeps them'),
  ready: readySchema.optional().describe('evidence that a file is complete; all given must hold'),
  state_path: z.string().min(1).optional().describe('directory for the markers when the data is read-only'),
  store: z.enum(['marker', 'sqlite', 'xattr']).default('marker').describe('where results are recorded'),
  events: z
    .boolean()
    .default(true)
    .describe('use file-system events; false relies on rescan alone (network mounts)'),
  jobs: z
    .array(jobEntry)
    .min(1)
    .optional()
    .describe('job(s) for the first file of the order, for the next, ...; the last for all others'),
});

export const poolSchema = z.strictObject({
  slots: z
    .int()
    .min(-1)
    .optional()
    .describe('jobs at a time; 0 no limit, -1 drains the pool; default: number of CPUs'),
  max_runtime: z
    .number()
    .positive()
    .nullable()
    .optional()
    .describe('longest run time of any job here, in seconds'),
  runtime: z.number().positive().nullable().optional().describe('the same as max_runtime'),
  drain: z.boolean().optional().describe('true: accept no new jobs'),
  hold: z.boolean().optional().describe('true: queue jobs but start none'),
});

export const clientSchema = z.looseObject({
  address: z.string().optional().describe('host name or path of a UNIX socket; default localhost'),
  port: z.int().min(1).max(65535).optional().describe('default 13700'),
  refresh: seconds.optional().describe('seconds between polls of an agent that cannot push'),
  timeout: seconds.optional().describe('seconds to connect, send or receive'),
  ssl: z.looseObject({}).optional().describe('TLS context'),
});

/** The top level of the configuration of meeseeks-watch, before templates are applied. */
export const rootSchema = z.strictObject({
  $schema: z.string().optional().describe('JSON Schema for editors; ignored'),
  name: z.string().min(1).optional().describe('name of this watcher; names its state directory and its node'),
  defaults: z.looseObject({}).optional().describe('defaults of all other sections'),
  apply: globs
    .optional()
    .describe('template(s) to apply to all watches; they are then named <template>-<name>'),
  client: clientSchema.optional().describe('agent to use; without it an agent is embedded'),
  template: z
    .record(z.string(), z.looseObject({}))
    .optional()
    .describe('watch templates; one named null applies to all'),
  watch: z.record(z.string(), z.looseObject({})).optional().describe('the watches'),
  pools: z.record(z.string(), poolSchema).optional().describe('pools of the embedded agent'),
  state_dir: z
    .string()
    .min(1)
    .optional()
    .describe('directory for the state of the watcher and the embedded agent'),
  on_stop: z
    .enum(['leave', 'drain', 'kill'])
    .optional()
    .describe('what a stop does to running jobs; default: SIGTERM leaves, Ctrl-C drains'),
  expire: z
    .number()
    .nonnegative()
    .optional()
    .describe('seconds a finished job is kept after its result was recorded, default 86400'),
  logging: z
    .looseObject({ level: z.union([z.string(), z.number()]).optional() })
    .optional()
    .describe('level: trace, debug, info, warn, error, or the numbers of Python'),
});
export type RootConfig = z.infer<typeof rootSchema>;
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

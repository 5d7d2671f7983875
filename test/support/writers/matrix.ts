import type { Config } from '../service.js';

/** What a job sees of a file: `whole` always; `early`: a part, or a name that goes away; `chance`: it depends. */
export type Outcome = 'whole' | 'early' | 'chance';

export interface Option {
  readonly name: string;
  /** heading of the column in docs/readiness.md */
  readonly heading: string;
  /** keys of the watch, instead of `ready: {closed: false}` and the wide glob */
  readonly keys: Config;
  /** run by a service that neither sees the writer's processes nor gets events, as on a network mount */
  readonly unseen?: true;
}

/** What the options under test wait for, seconds. The pauses of the writers are well below or well above it. */
export const WAIT_S = 6;
const only = (ready: Config): Config => ({ ready: { closed: false, ...ready } });

export const options: readonly Option[] = [
  { name: 'nothing', heading: 'nothing', keys: only({}) },
  { name: 'closed', heading: '`closed`', keys: { ready: { closed: true } } },
  { name: 'unseen', heading: '`closed`, writer unseen', keys: { ready: { closed: true } }, unseen: true },
  { name: 'names', heading: 'glob of final names', keys: { ...only({}), glob: '*.gz' } },
  { name: 'min_age', heading: '`min_age`', keys: { ...only({}), min_age: WAIT_S } },
  { name: 'stable', heading: '`stable`', keys: only({ stable: WAIT_S }) },
  { name: 'sentinel', heading: '`sentinel`', keys: only({ sentinel: '%(filename)s.ok' }) },
  {
    name: 'check',
    heading: '`check`',
    keys: only({ check: ['sh', '-c', 'exec gzip -t <"$1"', 'check', '%(file)s'] }),
  },
];

export interface Writer {
  readonly name: string;
  /** the row in docs/readiness.md */
  readonly says: string;
  /** one letter an option, in their order: w(hole), e(arly), c(hance) */
  readonly expected: string;
  /** run where the directory is mounted under another path */
  readonly mounted?: true;
  /** several members, each whole: what counts is whether the job finds all of them */
  readonly batch?: true;
  /** there was an older version; the watch has `updated` */
  readonly rewrites?: true;
  /** a job of another user than root cannot read what it must not read yet */
  readonly rootReads?: true;
}

export const writers: readonly Writer[] = [
  { name: 'elsewhere', says: 'writes in another directory, renames into place', expected: 'wwwwwwww' },
  {
    name: 'dot-rename',
    says: 'rsync: writes `.name.XXXXXX`, sets the old time, renames',
    expected: 'wwwwwwww',
  },
  {
    name: 'filepart',
    says: 'WinSCP, browsers: writes `name.filepart`, closes it, renames later',
    expected: 'eeeweewe',
  },
  {
    name: 'sealed',
    says: 'mode 000 until complete, with long pauses',
    expected: 'ewweeeww',
    rootReads: true,
  },
  { name: 'slow', says: 'one open file, short pauses', expected: 'eweewwww' },
  {
    name: 'mounted',
    says: 'the same in a container, where the directory has another path',
    expected: 'eweewwww',
    mounted: true,
  },
  {
    name: 'links-early',
    says: 'the same under another name, with a hard link of the final name from the beginning',
    expected: 'eweewwww',
  },
  { name: 'stalls', says: 'one open file, a long pause', expected: 'eweeeeww' },
  {
    name: 'keeps-time',
    says: '`cp -p`, `scp -p`, `rsync --inplace`: in place, short pauses, sets the old time after closing',
    expected: 'eweewwww',
  },
  { name: 'preallocates', says: 'whole size at once (`fallocate`), then fills it', expected: 'eweewwww' },
  {
    name: 'preallocates-late',
    says: 'whole size at once, closes, fills it after a long pause',
    expected: 'eeeeeeww',
  },
  { name: 'reopens', says: 'opens, appends, closes, with short pauses', expected: 'eeeewwww' },
  { name: 'reopens-late', says: 'opens, appends, closes, with a long pause', expected: 'eeeeeeww' },
  {
    name: 'reopens-keeps-time',
    says: 'opens, appends, closes, sets an old time each time, short pauses',
    expected: 'eeeewwww',
  },
  { name: 'empty-filled', says: 'WebDAV: an empty file, soon filled', expected: 'eeeewwww' },
  {
    name: 'empty-filled-late',
    says: 'WebDAV: an empty file, filled after a long pause',
    expected: 'eeeeeeww',
  },
  {
    name: 'truncates-rewrites',
    says: 'truncates an older version and writes the new one; the old sentinel stays',
    expected: 'eweewwew',
    rewrites: true,
  },
  { name: 'mapped', says: 'writes through a memory mapping, descriptor closed', expected: 'eweeccww' },
  {
    name: 'batch',
    says: 'several files, each renamed into place, long pauses; all are needed',
    expected: 'eeeeeewe',
    batch: true,
  },
];

const words = { w: 'whole', e: 'early', c: 'chance' } as const;

export const outcome = (writer: Writer, option: Option): Outcome =>
  words[writer.expected.charAt(options.indexOf(option)) as keyof typeof words];

const signs: Record<Outcome, string> = { whole: 'yes', early: '**no**', chance: '(yes)' };

/** The table in docs/readiness.md. */
export function table(): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    row(['the writer', ...options.map(({ heading }) => heading)]),
    row(['---', ...options.map(() => '---')]),
    ...writers.map((writer) =>
      row([writer.says, ...options.map((option) => signs[outcome(writer, option)])]),
    ),
  ].join('\n');
}

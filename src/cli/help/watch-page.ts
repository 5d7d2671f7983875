import type { Page } from './page.js';

/** meeseeks-watch(1) */
export const watchPage: Page = {
  name: 'meeseeks-watch',
  summary: 'runs the right job once for every file that arrives',
  synopsis: [
    'meeseeks-watch [options] [key=value]... [file]...',
    'meeseeks-watch <command> [options] [key=value]... [file]...',
  ],
  sections: [
    {
      title: 'DESCRIPTION',
      paragraphs: [
        'Watches directories and runs a job for every file in them: once for each file, through crashes, restarts and reboots. What ran on a file is kept in a hidden marker beside it.',
        'Configuration files are JSON (comments allowed) or YAML. They are merged from left to right, then come settings as key=value. Errors are told with file, line and column, and nothing is started.',
      ],
    },
    {
      title: 'COMMANDS',
      paragraphs: ['meeseeks-watch <command> --help tells the options of a command.'],
      entries: [
        ['run', 'run the service (the default)'],
        ['plan', 'show what would be submitted and why; touch nothing'],
        [
          'explain',
          'say for one file what every rule decides, what it waits for, what ran and where its output is',
        ],
        ['validate', 'check a configuration and list its watches'],
        ['schema', 'print the JSON Schema of the configuration, for editors'],
        ['status', 'the counts of the running watcher'],
        ['retry', 'run failed and killed files again, at once'],
        ['forget', 'run files again as if they had just arrived'],
        ['mark-done', 'count files as processed without running their jobs'],
        ['completion', 'print a completion script for bash or zsh'],
      ],
    },
    {
      title: 'OPTIONS',
      entries: [
        ['--once', 'process what is there and exit: 0 nothing failed, 1 something did'],
        ['--dry-run', 'show what would be submitted and why; touch nothing'],
        ['--watch-config', 'reload when a configuration file changes'],
        ['--json', 'output for programs'],
        ['--log-level LEVEL', 'trace, debug, info (default), warn, error or fatal'],
        ['--log-format FORMAT', 'pretty, json, or auto (default): pretty on a terminal, JSON elsewhere'],
        ['-h, --help', 'this, or after a command: its options'],
        ['--version', 'print the version'],
      ],
    },
    {
      title: 'OPTIONS OF RETRY, FORGET AND MARK-DONE',
      entries: [
        ['--glob PATTERN', 'only files of this pattern (repeat for more)'],
        ['--state STATE', 'only results of this state: done, failed, killed, new'],
        ['--watch NAME', 'only this watch'],
        ['--older-than AGE', 'only results at least this old: seconds, or 90s, 30m, 12h, 7d'],
        ['-y, --yes', 'do it; without, only a preview'],
      ],
    },
    {
      title: 'SIGNALS',
      entries: [
        ['SIGTERM', 'stop; jobs run on, and the next start takes them up'],
        ['SIGINT (Ctrl-C)', 'submit nothing more, wait for running jobs; a second one kills them'],
        ['SIGHUP', 'reload the configuration'],
      ],
    },
    {
      title: 'EXIT STATUS',
      entries: [
        ['0', 'fine'],
        ['1', 'with --once: a job failed'],
        ['2', 'wrong usage or configuration; nothing was started'],
        ['3', 'the machine refused: state directory, disk, agent'],
        ['4', 'status: no watcher is running'],
      ],
    },
    {
      title: 'FILES',
      entries: [
        [
          '._WATCH_N_FILE.STATE',
          'the marker beside a data file: the result of job N of a watch, as JSON. STATE is done, failed or killed',
        ],
        ['/var/lib/meeseeks/NAME', 'state of root; of others ~/.local/state/meeseeks/NAME; or state_dir'],
        ['/etc/meeseeks/NAME.cfg', 'what the unit meeseeks-watch@NAME.service reads'],
      ],
    },
    {
      title: 'ENVIRONMENT',
      entries: [
        ['MEESEEKS_WATCH_CONF', 'configuration files when none are given, separated by colons'],
        ['STATE_DIRECTORY, XDG_STATE_HOME', 'where state is kept, when state_dir is not set'],
      ],
    },
    {
      title: 'EXAMPLES',
      examples: [
        [
          'Compress every file that arrives in /data:',
          'meeseeks-watch watch.in.path=/data watch.in.glob=\'*.csv\' \\\n  watch.in.jobs:=\'[{"pool": "cpu", "args": ["gzip", "%(file)s"]}]\'',
        ],
        ['A template for every path:', 'meeseeks-watch apply=each templates.cfg paths.cfg'],
        ['Why did it (not) run?', 'meeseeks-watch explain /data/x.csv apply=each templates.cfg paths.cfg'],
        ['Run again what failed more than an hour ago:', 'meeseeks-watch retry --older-than 1h --yes my.cfg'],
      ],
    },
    { title: 'SEE ALSO', paragraphs: ['meeseeks-box(1), meeseeks-client(1)'] },
  ],
};

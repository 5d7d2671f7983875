import type { Page } from './page.js';

/** meeseeks-box(1) */
export const boxPage: Page = {
  name: 'meeseeks-box',
  summary: 'runs jobs that clients submit',
  synopsis: ['meeseeks-box [options] [key=value]... [file]...', 'meeseeks-box completion [bash|zsh]'],
  sections: [
    {
      title: 'DESCRIPTION',
      paragraphs: [
        'Listens at port 13700 for meeseeks-client, meeseeks-watch and other programs that speak its protocol (lines of JSON), queues their jobs on disk, and runs them in pools. Jobs outlive it: after a restart, an upgrade or a crash it takes them up again.',
        'Configuration files are JSON (comments allowed) or YAML. They are merged from left to right, then come settings as key=value. Errors are told with file, line and column, and nothing is started. Without any it listens at localhost and has no pools: jobs wait until there is theirs.',
        'Whoever may connect runs commands as the user of the box. It listens at an address that other machines reach only with a token or with TLS client certificates.',
      ],
    },
    {
      title: 'OPTIONS',
      entries: [
        ['--check', 'check the configuration, print it merged and without secrets, and exit'],
        ['--log-level LEVEL', 'trace, debug, info (default), warn, error or fatal'],
        ['--log-format FORMAT', 'pretty, json, or auto (default): pretty on a terminal, JSON elsewhere'],
        ['-h, --help', 'this'],
        ['--version', 'print the version'],
      ],
    },
    {
      title: 'SETTINGS MOST USED',
      entries: [
        ['pools.NAME.slots=N', 'jobs at a time in a pool; 0 no limit, -1 starts nothing (drain)'],
        ['listen.address=HOST', 'where to listen, default localhost'],
        ['listen.port=N', 'default 13700; 0 a free one, false none'],
        ['listen.path=FILE', 'a UNIX socket to listen at, too; listen.mode=0660 its mode'],
        ['listen.token_file=FILE', 'the token that clients must show; readable by its owner only'],
        ['listen.ssl.certfile= keyfile= cafile=FILE', 'TLS; with cafile clients must show a certificate'],
        ['state_dir=DIR', 'where jobs are kept'],
        ['state.expire=S', 'seconds a finished job is kept once its submitter has seen it'],
        ['state.history=FILE', 'append every finished job to this file'],
        ['on_stop=WHAT', 'what SIGTERM and SIGINT do: leave, drain or kill'],
      ],
    },
    {
      title: 'SIGNALS',
      entries: [
        ['SIGTERM', 'stop; jobs run on, and the next start takes them up'],
        ['SIGINT (Ctrl-C)', 'start nothing more, wait for running jobs; a second one kills them'],
        ['SIGHUP', 'reload the configuration files'],
      ],
    },
    {
      title: 'EXIT STATUS',
      entries: [
        ['0', 'fine'],
        ['2', 'wrong usage or configuration; nothing was started'],
        ['3', 'the machine refused: state directory, port, disk'],
      ],
    },
    {
      title: 'FILES',
      entries: [
        [
          '/var/lib/meeseeks/box-NAME',
          'state of root; of others ~/.local/state/meeseeks/box-NAME; or state_dir',
        ],
        ['/etc/meeseeks/box.cfg', 'what the unit meeseeks-box.service reads'],
      ],
    },
    {
      title: 'ENVIRONMENT',
      entries: [
        ['MEESEEKS_BOX_CONF', 'configuration files when none are given, separated by colons'],
        ['STATE_DIRECTORY, XDG_STATE_HOME', 'where state is kept, when state_dir is not set'],
      ],
      paragraphs: ['Jobs get the environment of the box, and over it what their submitter sent.'],
    },
    {
      title: 'EXAMPLES',
      examples: [
        [
          'An agent with two jobs at a time, and a first job:',
          'meeseeks-box pools.work.slots=2 &\nmeeseeks-client sub work sh -c "echo hello"',
        ],
        ['Check a configuration with one change:', 'meeseeks-box --check node.cfg pools.q1.slots=4'],
        [
          'For this machine only, without a port:',
          'meeseeks-box listen.port:=false listen.path=/run/user/1000/box.sock',
        ],
      ],
    },
    {
      title: 'SEE ALSO',
      paragraphs: [
        'meeseeks-client(1), meeseeks-watch(1), docs/agent.md and docs/protocol.md of the package',
      ],
    },
  ],
};

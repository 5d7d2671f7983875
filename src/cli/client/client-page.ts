import type { Page } from '../help/page.js';
import { commands } from './command-table.js';
import { manual } from './help-texts.js';

/** meeseeks-client(1) without the manuals of its commands. */
export const clientPage: Page = {
  name: 'meeseeks-client',
  summary: 'submits jobs to an agent; shows, changes, follows and kills them',
  synopsis: ['meeseeks-client [key=value]... <command> [argument]...'],
  sections: [
    {
      title: 'DESCRIPTION',
      paragraphs: [
        'Talks to meeseeks-box, or to an agent of the Python original, which it notices by itself. Called as qsub, qstat, qjob, qdel, qmod or qconf (symlinks) it is that command.',
      ],
    },
    {
      title: 'COMMANDS',
      paragraphs: ['meeseeks-client <command> --help is the manual of a command.'],
      entries: commands.map(({ names, summary }) => [names.join('|'), summary] as const),
    },
    {
      title: 'OPTIONS',
      entries: [
        ['--json', 'output for programs, where it is not JSON anyway'],
        ['-h, --help', 'this, or after a command: its manual'],
        ['--version', 'print the version'],
      ],
    },
    {
      title: 'SETTINGS',
      paragraphs: ['As key=value before the command, or in MEESEEKS_CONF.'],
      entries: [
        ['address=HOST|PATH', 'host of the agent, or path of its UNIX socket; default localhost'],
        ['port=N', 'default 13700'],
        ['refresh=S', 'repeat "stat" every S seconds until no unfinished jobs are left'],
        ['timeout=S', 'seconds to connect, and to wait for an answer; default 10'],
        ['patience=S', 'seconds to go on trying when the agent is away; default 10, 0 at the start'],
        [
          'token_file=PATH',
          'file with the token, for agents that ask for one (token=TEXT shows in process lists)',
        ],
        ['file=PATH', 'these settings from a file (JSON or YAML, or its "client" section)'],
        [
          'ssl.ca= ssl.cert= ssl.key=FILE',
          'TLS: authority, own certificate and key (PEM); ssl=1: system authorities',
        ],
        ['ssl.servername=NAME', 'the name the certificate of the agent must have, if not the address'],
        ['ssl.check_hostname=0', 'any name will do'],
        ['ssl.verify_mode=CERT_NONE', 'any certificate will do: for tests only'],
        ['ssl.ciphers= ssl.password= ssl.minimum_version=TLSv1_3', 'as OpenSSL has them'],
      ],
    },
    {
      title: 'EXIT STATUS',
      entries: [
        ['0', 'fine'],
        ['1', 'a job to kill, to change or to read is unknown, or one was refused'],
        ['2', 'wrong usage'],
        ['3', 'the agent cannot be reached or does not answer'],
        ['of the job', 'with "wait"; 125 when waiting itself failed'],
      ],
    },
    {
      title: 'FILES',
      paragraphs: ['None but those that token_file=, file= and ssl. name.'],
    },
    {
      title: 'ENVIRONMENT',
      entries: [
        [
          'MEESEEKS_CONF',
          'settings, separated by spaces; the command line comes after it. Later ones win, a file counts where it is named',
        ],
      ],
    },
    {
      title: 'EXAMPLES',
      examples: [
        [
          'Run a job, wait for it, see what it wrote:',
          'meeseeks-client sub id=j1 q1 ./model --steps 10\nmeeseeks-client wait j1; meeseeks-client logs j1',
        ],
        ['Run again what failed in the night:', 'meeseeks-client mod state=failed tag=nightly : state=new'],
        [
          'An agent elsewhere:',
          'export MEESEEKS_CONF="address=head1 token_file=$HOME/.meeseeks-token"\nmeeseeks-client stat',
        ],
      ],
    },
    { title: 'SEE ALSO', paragraphs: ['meeseeks-box(1), meeseeks-watch(1), docs/client.md of the package'] },
  ],
};

/** meeseeks-client(1), whole: a man page has no second one to ask. */
export const clientManual: Page = {
  ...clientPage,
  sections: clientPage.sections.flatMap((section) =>
    section.title === 'OPTIONS'
      ? [
          ...commands.map(({ names }) => ({
            title: `COMMAND ${names[0]!.toUpperCase()}`,
            verbatim: manual[names[0]!] ?? '',
          })),
          section,
        ]
      : [section],
  ),
};

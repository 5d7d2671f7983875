/** The manual, a section a command. Plain text: it is read on terminals. */
export const manual: Readonly<Record<string, string>> = {
  sub: `meeseeks-client sub [key=value...] <pool[@node]> <executable> [args...]

Submits a job and prints it as {"<id>": {...}}. Everything after the pool is the
command, untouched: it is run as it is, without a shell. With pool= the command
starts right away.

Keys:
  pool=NAME            the pool to run in
  node=NAME            a node, a list a,b, or a pattern gpu* or *: one job on
                       each
  id=ID                id of the new job; without pool and command: changes to
                       the job of this id
  stdin=FILE           file the job reads; default: none
  stdout= stderr=FILE  files its output goes to, relative to cwd
  cwd=DIR              directory to run in; default: the current one
  env=all|none|A,B     variables passed to the job; default: all. An agent of
                       the Python original shows them to everybody: there none
                       are passed unless named
  hold=1               queue, do not start
  priority=N           higher starts first
  runtime=S            kill after S seconds
  retries=N            run again up to N times when it fails
  restart=1            run again whenever it ends well
  resubmit=1           run again whenever it ends
  kill_grace=S         seconds between SIGTERM and SIGKILL
  tag=A,B              tags, for filters
  state=new            (with id=) start a finished job again; killed: kill it
  key:=JSON            any value as JSON

  meeseeks-client sub tag=nightly runtime=3600 q1 ./model --steps 10
  meeseeks-client sub id=probe 'q1@*' uptime`,
  job: `meeseeks-client job|get [ids|filter]

Prints jobs as JSON, all without a filter. Unknown ids are left out: {} and exit
code 0 when there is none. The environment of jobs is not printed. A filter is
key=value of any attribute: node= pool= state= tag= rc= active=; all must match,
a trailing * matches the rest; ts= and seq= mean changed after.

  meeseeks-client get state=failed pool=q* tag=nightly`,
  ls: `meeseeks-client ls [--plain] [ids|filter]

Lists the ids of jobs as JSON, or one a line with --plain (-1). Filters as in
"job".`,
  del: `meeseeks-client del|kill <ids|filter>

Kills jobs and everything they started: SIGTERM, then SIGKILL. Prints the jobs;
"active" is true until the last process is gone. Finished jobs stay what they
are. Without ids or filter nothing is killed.`,
  mod: `meeseeks-client mod|set <ids|filter :> key=value...

Changes jobs and prints them. A filter is parted from the changes by a ":" of
its own. state=new starts finished jobs again, on any node if node= is not
given; active jobs cannot be moved: kill them first. The present run of a
running job goes on as it is; what does not reach it is said. Keys as in "sub",
but env=.

  meeseeks-client mod run1 hold=0
  meeseeks-client mod state=failed tag=nightly : state=new retries=2`,
  stat: `meeseeks-client stat|show [filter] [nodes pools jobs] [active] [tree] [all]

Counts first, then every node, its pools, and of all jobs the running and newest
20. "all" (or --all) shows every job, "active" only unfinished ones, "tree" puts
nodes below those they are reached through. nodes, pools and jobs choose what to
show. The beginning of these words is enough (al for all). refresh=S among the
client options repeats it every S seconds until no unfinished jobs are left.

Columns of a job: id, flags, state (exit code or signal), time in that state,
[tags] command. Flags: A active, H hold, E error, R repeating.

  meeseeks-client stat pool=q1 jobs
  meeseeks-client refresh=5 stat tag=nightly`,
  nodes: `meeseeks-client nodes

Prints all that is known of every node, as JSON.`,
  pools: `meeseeks-client pools

Prints the free slots of every pool by node, as JSON; null: no limit.`,
  conf: `meeseeks-client conf [key.subkey=value...] [node]

Prints the configuration of the agent, after changing what is given. With a node
a job in its pool __config does it; its args are the configuration when it is
done. A word without = is a node: one that the agent does not know is refused.

pools, state, logging and wait_in_pool can be changed, until the next reload or
restart; everything else only in a file of the agent. Keys that nothing knows
are warned of.

  meeseeks-client conf pools.q1.slots=8`,
  wait: `meeseeks-client wait JOB...

Waits until all jobs are finished. Exit code: 0 when all are done; else that of
the first one named that is not: its exit code, 128 + signal, 127 if it could
not be started, 143 if it was killed before it started. 125: the waiting itself
failed. --json prints the jobs.`,
  logs: `meeseeks-client logs [-f] JOB

Prints what the job wrote; its standard error goes to standard error. -f
(--follow) goes on until the job is finished. From an agent on this machine
everything is read, also of a running job, when its files may be read; else the
last 1 MiB of each stream, at its end.`,
  events: `meeseeks-client events [ids|filter]

Prints every change of a job, a line each, until Ctrl-C. --json: the job as one
line of JSON. seq=N first tells what changed after N.`,
  top: `meeseeks-client top [filter] [nodes pools jobs] [active] [tree]

The table of "stat", redrawn as jobs change, every refresh= seconds (default 2),
until Ctrl-C.`,
  completion: `meeseeks-client completion [bash|zsh]

Prints a script that completes commands, keys and job ids:

  source <(meeseeks-client completion bash)       # in ~/.bashrc
  source <(meeseeks-client completion zsh)        # in ~/.zshrc

For everybody on this machine (bash):

  meeseeks-client completion bash \\
    > /usr/share/bash-completion/completions/meeseeks-client`,
};

// An agent in a process of its own, to be killed: node agent-process.mjs BUILD STATE_DIRECTORY
// stdin: JSON lines, each a list of submit requests. stdout: "ready", then the answers and the changed jobs.
import { createInterface } from 'node:readline';
import { join } from 'node:path';

const [build, directory] = process.argv.slice(2);
const { createAgent } = await import(join(build, 'agent/agent.js'));
const { systemClock } = await import(join(build, 'lib/clock.js'));

const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const log = {
  debug() {},
  info() {},
  warn() {},
  error: (fields, text) => say({ error: text, why: String(fields.err) }),
};
const pools = { p: { slots: 4 } };
const agent = await createAgent({
  directory,
  node: 'here',
  pools,
  defaultSlots: 2,
  expire: 60,
  clock: systemClock,
  log,
  env: process.env,
});
agent.onJob((job) => say({ job }));
say('ready');
for await (const line of createInterface({ input: process.stdin }))
  say({ results: await agent.submit(JSON.parse(line)) });

// Runs a checkout of the Python original, unmodified, against this program and the other way round.
import { check, finish, problem, wanted } from './harness.mjs';
import { checks as ourAgent } from './our-agent.mjs';
import { checks as ourClient } from './our-client.mjs';
import { checks as ourWatcher } from './our-watcher.mjs';
import { checks as theirClient } from './their-client.mjs';
import { checks as theirWatcher } from './their-watcher.mjs';

const parts = {
  'their-client': theirClient,
  'their-watcher': theirWatcher,
  'our-client': ourClient,
  'our-agent': ourAgent,
  'our-watcher': ourWatcher,
};
const unknown = wanted.filter((name) => !Object.hasOwn(parts, name));
const why =
  problem() ??
  (unknown.length > 0 ? `${unknown[0]}: expected some of ${Object.keys(parts).join(' ')}` : undefined);

if (why === undefined) {
  for (const [name, part] of Object.entries(parts)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    console.log(`== ${name}`);
    await check(`${name} runs to its end`, part);
  }
}
const failed = await finish();
if (why !== undefined) console.error(why);
else console.log(failed === 0 ? 'all is well' : `${failed} checks failed`);
process.exitCode = why === undefined ? Math.min(failed, 1) : 2;

import { clientExit, type Call } from '../context.js';
import { formatJson } from '../json.js';

/** `nodes`: what is known of every node */
export async function nodesCommand(call: Call): Promise<number> {
  const client = await call.connect();
  call.context.out(formatJson(await client.nodes()));
  return clientExit.ok;
}

/** `pools`: free slots by pool and node */
export async function poolsCommand(call: Call): Promise<number> {
  const client = await call.connect();
  call.context.out(formatJson(await client.pools()));
  return clientExit.ok;
}

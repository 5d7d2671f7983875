import type { Change, Filter } from './api.js';
import type { FollowOptions } from './client.js';
import { Feed } from './feed.js';
import type { Endpoint } from './options.js';
import { toJob } from './wire-job.js';

const MOST_HELD = 1000;

/** Changes as they come. A slow reader makes the agent wait instead of filling memory here. */
export async function* events(
  endpoint: Endpoint,
  follow: FollowOptions,
  filter: Filter,
  signal: AbortSignal,
): AsyncIterableIterator<Change> {
  const held: Change[] = [];
  let wake = (): void => undefined;
  const { seq, ...attributes } = filter;
  const feed = new Feed(endpoint, {
    ...follow,
    filter: attributes,
    since: seq,
    onJob: (id, job, left) => {
      held.push({ ...toJob(id, job), ...(left && { left }) });
      if (held.length >= MOST_HELD) feed.pause();
      wake();
    },
  });
  const stop = (): void => feed.close();
  signal.addEventListener('abort', stop);
  const ended = feed.ended.then((error) => ({ error }));
  try {
    if (signal.aborted) return;
    for (;;) {
      const changed = new Promise<undefined>((resolve) => (wake = () => resolve(undefined)));
      for (let job = held.shift(); job !== undefined; job = held.shift()) yield job;
      feed.resume();
      const end = held.length > 0 ? undefined : await Promise.race([changed, ended]);
      if (end === undefined) continue;
      if (signal.aborted) return;
      throw end.error;
    }
  } finally {
    signal.removeEventListener('abort', stop);
    feed.close();
  }
}

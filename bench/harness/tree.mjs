// Directories with many processed files; made once a run, because a million takes a minute.
import { closeSync, fstatSync, futimesSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { dist } from './product.mjs';
import { discard, scratch } from './scratch.mjs';

let kept;

const { markerTime } = await import(pathToFileURL(join(dist, 'watch/marker-time.js')).href);

/** Makes an empty file; the times are those of a marker written for `of`. @returns what it is */
function make(path, of) {
  const fd = openSync(path, 'w');
  try {
    const stat = fstatSync(fd, { bigint: true });
    // what a marker's own name and times tell is not read from its content
    if (of !== undefined) futimesSync(fd, Date.now() / 1000, markerTime({ job: endedNow(), seen: seen(of) }));
    return stat;
  } finally {
    closeSync(fd);
  }
}

const endedNow = () => ({ end_ts: Date.now() / 1000 });
const seen = ({ ctimeNs, ino }) => ({ ctimeNs, inode: ino });

/** Makes empty files `<root>/in/file-0000000.txt` and so on, and the marker of a job well done for each when asked. */
export function fill(root, files, { marked = false, prefix = 'file-' } = {}) {
  for (let i = 0; i < files; i++) {
    const name = `${prefix}${String(i).padStart(7, '0')}.txt`;
    const file = make(join(root, 'in', name));
    if (marked) make(join(root, 'in', `._w_0_${name}.done`), file);
  }
}

/** A directory whose `in` has this many processed files; the last one is kept for the next benchmark that asks. */
export function processedTree(files) {
  if (kept?.files === files) return kept.root;
  if (kept !== undefined) discard(kept.root);
  kept = { files, root: scratch('in') };
  fill(kept.root, files, { marked: true });
  return kept.root;
}

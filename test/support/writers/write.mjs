/**
 * Writes one file as some program in the field does: node write.mjs WRITER DIRECTORY NAME CONTENT [OLD]
 * CONTENT is a file elsewhere that holds the bytes, OLD one that holds what was there before. A `short` pause is well below
 * the 6 s that the options under test wait, a `long` one above. Who writes in pieces keeps the last of them back until
 * CONTENT.go is there: however busy the machine is, what is to be seen too early is seen. At the end, NAME.ok says that
 * the file is complete.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const SHORT = 350;
const MIDDLE = 4000;
const LONG = 7500;
/** until those who started together have calmed down: it must be seen within the 4 s */
const LATER = 10_000;
const PATIENCE = 60_000;
const PIECES = 12;
const OLD_TIME = Date.now() / 1000 - 2 * 86_400;

const [writer, directory, name, contentFile, oldFile] = process.argv.slice(2);
const target = join(directory, name);
const content = readFileSync(contentFile);

const end = Date.now() + PATIENCE;
const mayEnd = () => existsSync(`${contentFile}.go`) || Date.now() > end;

/** A long pause, and as long as nobody has seen what is there. */
async function pauseLong() {
  await sleep(LONG);
  while (!mayEnd()) await sleep(SHORT);
}

/** The pieces of the content with their places, with a pause between two; until it may end the last comes byte by byte. */
async function* pieces(count, isOver = mayEnd) {
  const size = Math.ceil(content.length / count);
  for (let at = 0; at < content.length;) {
    if (at > 0) await sleep(SHORT);
    const left = content.length - at;
    const length = left > size ? size : isOver() || left < 2 ? left : 1;
    yield { at, piece: content.subarray(at, at + length) };
    at += length;
  }
}

/** Both halves of the content with their places, with a long pause between them. */
async function* halves() {
  const half = content.length / 2;
  yield { at: 0, piece: content.subarray(0, half) };
  await pauseLong();
  yield { at: half, piece: content.subarray(half) };
}

async function fill(path, flags, parts) {
  const fd = openSync(path, flags);
  for await (const { at, piece } of parts) writeSync(fd, piece, 0, piece.length, at);
  closeSync(fd);
}

async function append(path, parts, mode) {
  for await (const { piece } of parts) {
    const fd = openSync(path, 'a', mode);
    writeSync(fd, piece);
    closeSync(fd);
  }
}

const writers = {
  async slow() {
    await fill(target, 'w', pieces(PIECES));
  },
  async stalls() {
    await fill(target, 'w', halves());
  },
  async mounted() {
    await writers.slow();
  },
  /** the descriptor is of another name of the same file */
  async 'links-early'() {
    const temporary = join(directory, `.${name}.tmp`);
    const fd = openSync(temporary, 'w');
    for await (const { at, piece } of pieces(PIECES)) {
      writeSync(fd, piece);
      if (at === 0) linkSync(temporary, target);
    }
    closeSync(fd);
    unlinkSync(temporary);
  },
  async reopens() {
    await append(target, pieces(PIECES));
  },
  async 'reopens-late'() {
    await append(target, halves());
  },
  async preallocates() {
    const held = openSync(target, 'w');
    const options = { stdio: ['ignore', 'ignore', 'inherit', held] };
    execFileSync('fallocate', ['-l', String(content.length), '/proc/self/fd/3'], options);
    await fill(target, 'r+', pieces(PIECES));
    closeSync(held);
  },
  async 'preallocates-late'() {
    const fd = openSync(target, 'w');
    ftruncateSync(fd, content.length);
    closeSync(fd);
    await pauseLong();
    await fill(target, 'r+', pieces(2));
  },
  /** cp -p, rsync --inplace -t, scp -p: in place, and the time of the source at the end */
  async 'keeps-time'() {
    await fill(target, 'w', pieces(PIECES));
    utimesSync(target, OLD_TIME, OLD_TIME);
  },
  /** opened for each block, and the old time set again after it */
  async 'reopens-keeps-time'() {
    for await (const { piece } of pieces(PIECES)) {
      writeFileSync(target, piece, { flag: 'a' });
      utimesSync(target, OLD_TIME, OLD_TIME);
    }
  },
  async 'dot-rename'() {
    const temporary = join(directory, `.${name}.Xa81Kz`);
    await fill(temporary, 'w', pieces(PIECES));
    utimesSync(temporary, OLD_TIME, OLD_TIME);
    renameSync(temporary, target);
  },
  async elsewhere() {
    const temporary = join(dirname(contentFile), `${name}.elsewhere`);
    await fill(temporary, 'w', pieces(PIECES));
    renameSync(temporary, target);
  },
  async filepart() {
    await fill(
      `${target}.filepart`,
      'w',
      pieces(PIECES, () => true),
    );
    await pauseLong();
    renameSync(`${target}.filepart`, target);
  },
  async sealed() {
    await append(target, halves(), 0o000);
    chmodSync(target, 0o644);
  },
  async 'truncates-rewrites'() {
    copyFileSync(oldFile, `${target}.tmp`);
    chmodSync(`${target}.tmp`, 0o644);
    renameSync(`${target}.tmp`, target);
    writeFileSync(`${target}.ok`, '');
    await sleep(LONG);
    await fill(target, 'w', pieces(PIECES));
  },
  async 'empty-filled'() {
    await sleep(LATER);
    writeFileSync(target, '');
    await sleep(MIDDLE);
    writeFileSync(target, content);
  },
  async 'empty-filled-late'() {
    writeFileSync(target, '');
    await pauseLong();
    writeFileSync(target, content);
  },
  /** a descriptor that was closed leaves a mapping that still writes */
  async mapped() {
    execFileSync('python3', [join(import.meta.dirname, 'mapped.py'), target, contentFile]);
  },
  /** each member whole at once; only together they are complete */
  async batch() {
    mkdirSync(target, { recursive: true });
    for await (const { at, piece } of halves()) {
      writeFileSync(join(target, `.part-${at}`), piece);
      renameSync(join(target, `.part-${at}`), join(target, `part-${at}`));
    }
    writeFileSync(join(target, 'batch.ok'), '');
  },
};

await writers[writer]();
writeFileSync(`${target}.ok`, '');

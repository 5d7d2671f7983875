import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, unlinkSync } from 'node:fs';
import { syncDirectory, writeFileAtomic } from '../lib/atomic-write.js';
import { hasCode } from '../lib/errors.js';
import { bytesToBuffer, bytesToText, textToBytes } from '../lib/text.js';
import { milliseconds, type FileStat, type Identity } from './identity.js';
import {
  isShortened,
  markerPrefix,
  markerStates,
  markerStem,
  parseMarkerName,
  wholeStem,
  type MarkerState,
} from './marker-name.js';
import {
  markerContent,
  readMarker,
  withIdentityNow,
  type MarkerFacts,
  type RecordRef,
  type Result,
  type StepRecord,
} from './record.js';
import type { RecordStore } from './record-store.js';
import { baseName, folderOf } from './select.js';

interface Known {
  readonly states: Set<MarkerState>;
  /** facts of the result marker and content of .mtime, once read */
  facts?: MarkerFacts | null;
  mtime?: string | null;
  /** ms, mtime of the result marker, once looked at */
  writtenAt?: number;
}

const results = ['done', 'failed', 'killed'] as const;
const unknown: StepRecord = { states: new Set() };

/** Markers as files: beside the data, or mirrored under `statePath`. See RecordStore for the contract of each method. */
export class MarkerStore implements RecordStore {
  readonly #folders = new Map<string, Map<string, Known>>();
  readonly #unflushed = new Set<string>();

  /**
   * @param root directory that holds the markers, absolute, text
   * @param beside true when that is the data directory itself, whose listing brings the names
   * @param needsContent true when identities matter for every file (`updated`), not only for touched ones
   * @param readOnly true for dry runs: not even leftovers are removed
   */
  constructor(
    private readonly watch: string,
    private readonly root: string,
    private readonly beside: boolean,
    private readonly needsContent: boolean,
    private readonly readOnly = false,
  ) {}

  refresh(folder: string, hidden: readonly string[]): string[] | undefined {
    const names = this.beside ? hidden : this.#listOwn(folder);
    const before = this.#folders.get(folder);
    const now = new Map<string, Known>();
    const watch = textToBytes(this.watch);
    for (const name of names) {
      const marker = parseMarkerName(watch, name);
      if (marker === undefined) this.#removeLeftover(folder, name, watch);
      else remember(now, marker.stem, marker.state);
    }
    let same = before?.size === now.size;
    for (const [stem, known] of now) if (!keepFacts(known, before?.get(stem))) same = false;
    this.#folders.set(folder, now);
    if (same) return undefined;
    return [...(before?.keys() ?? [])].flatMap((stem) =>
      now.has(stem) ? [] : this.#pathOfName(folder, stem),
    );
  }

  noticed(folder: string, hiddenName: string, exists: boolean): { path: string | undefined } | undefined {
    const marker = parseMarkerName(textToBytes(this.watch), hiddenName);
    if (marker === undefined || !this.beside) return undefined;
    const stems = this.#stems(folder);
    const known = stems.get(marker.stem);
    if (exists === (known?.states.has(marker.state) ?? false)) return undefined;
    if (exists) remember(stems, marker.stem, marker.state);
    else known?.states.delete(marker.state);
    const changed = stems.get(marker.stem)!;
    delete changed.facts;
    delete changed.writtenAt;
    delete changed.mtime;
    if (changed.states.size === 0) stems.delete(marker.stem);
    return { path: this.#pathOfName(folder, marker.stem)[0] };
  }

  /** The path a marker's name tells; none where it is shortened. */
  #pathOfName(folder: string, stem: string): string[] {
    const name = parseMarkerName(textToBytes(this.watch), `${stem}.done`);
    if (name === undefined || isShortened(stem)) return [];
    const file = bytesToText(name.file);
    return [folder === '' ? file : `${folder}/${file}`];
  }

  reidentify(ref: RecordRef, now: Identity): void {
    const known = this.#known(ref);
    const state = results.find((s) => known?.states.has(s));
    const content = state === undefined ? undefined : readIfThere(this.#path(ref, state));
    const changed = content === undefined ? undefined : withIdentityNow(content, now);
    if (known === undefined || state === undefined || changed === undefined) return;
    replace(this.#pathOfStem(folderOf(ref.path), this.#stem(ref), state), changed);
    delete known.facts;
    this.#unflushed.add(folderOf(ref.path));
  }

  drop(folder: string): void {
    this.#folders.delete(folder);
  }

  read(ref: RecordRef, file?: FileStat): StepRecord {
    const known = this.#known(ref);
    if (known === undefined) return unknown;
    if (!this.#isContentNeeded(ref, known, file)) return { states: known.states };
    this.#load(ref, known);
    const { facts } = known;
    return {
      states: known.states,
      ...(typeof known.mtime === 'string' && { mtime: known.mtime }),
      ...(facts && facts.identity !== undefined && { identity: facts.identity }),
      ...(facts && facts.identityNow !== undefined && { identityNow: facts.identityNow }),
      ...(facts && known.states.has('failed') && { failedAttempts: facts.attempt, failedAt: facts.endedAt }),
    };
  }

  /** Where a marker is, absolute, text. */
  pathOf(ref: RecordRef, state: MarkerState): string {
    return bytesToText(this.#path(ref, state).toString('latin1'));
  }

  facts(ref: RecordRef): MarkerFacts | undefined {
    const known = this.#known(ref);
    if (known === undefined) return undefined;
    this.#load(ref, known);
    return known.facts ?? undefined;
  }

  write(result: Result, mtime: string | undefined): void {
    const { ref } = result;
    const state = result.job.state as MarkerState;
    const folder = folderOf(ref.path);
    if (!this.beside) mkdirSync(bytesToBuffer(textToBytes(this.#directory(folder))), { recursive: true });
    const stem = this.#ownStem(ref);
    replace(this.#pathOfStem(folder, stem, state), markerContent(result));
    if (mtime !== undefined) replace(this.#pathOfStem(folder, stem, 'mtime'), mtime);
    if (this.#stem(ref) !== stem) this.remove(ref, markerStates);
    this.remove(
      ref,
      results.filter((other) => other !== state),
    );
    remember(this.#stems(folder), stem, state);
    const known = this.#known(ref)!;
    if (mtime !== undefined) known.states.add('mtime');
    known.facts = {
      watch: result.watch,
      file: ref.path,
      identity: result.identity,
      identityNow: result.identityNow,
      attempt: result.attempt,
      endedAt: (result.job.end_ts ?? result.job.ts) * 1000,
    };
    if (mtime !== undefined) known.mtime = mtime;
    this.#unflushed.add(folder);
  }

  remove(ref: RecordRef, states: readonly MarkerState[]): void {
    const known = this.#known(ref);
    for (const state of states) {
      if (!known?.states.has(state)) continue;
      unlinkIfThere(this.#path(ref, state));
      known.states.delete(state);
      if (state !== 'mtime') delete known.facts;
    }
    if (known?.states.size === 0) this.#stems(folderOf(ref.path)).delete(this.#stem(ref));
    this.#unflushed.add(folderOf(ref.path));
  }

  flush(): void {
    for (const folder of this.#unflushed) {
      const directory = bytesToBuffer(textToBytes(this.#directory(folder)));
      if (existsSync(directory)) syncDirectory(directory);
    }
    this.#unflushed.clear();
  }

  *list(folder: string): Iterable<RecordRef> {
    const watch = textToBytes(this.watch);
    for (const stem of this.#stems(folder).keys()) {
      const name = parseMarkerName(watch, `${stem}.done`)!;
      const file = isShortened(stem)
        ? this.#fileOfShortened(folder, name.step, stem)
        : bytesToText(name.file);
      if (file !== undefined) yield { path: folder === '' ? file : `${folder}/${file}`, step: name.step };
    }
  }

  owns(ref: RecordRef): boolean {
    const facts = this.facts(ref);
    if (facts === undefined) return this.#isBareMtime(ref);
    return facts.watch === undefined || facts.watch === this.watch;
  }

  #isBareMtime(ref: RecordRef): boolean {
    const known = this.#known(ref);
    return (
      known !== undefined &&
      results.every((state) => !known.states.has(state)) &&
      Number.isFinite(Number(known.mtime ?? NaN))
    );
  }

  #isContentNeeded(ref: RecordRef, known: Known, file: FileStat | undefined): boolean {
    if (known.facts !== undefined || this.needsContent || known.states.has('failed')) return true;
    if (file === undefined) return false;
    known.writtenAt ??= this.#writtenAt(ref, known);
    return milliseconds(file.ctimeNs) > known.writtenAt;
  }

  #writtenAt(ref: RecordRef, known: Known): number {
    const state = results.find((s) => known.states.has(s)) ?? 'mtime';
    try {
      return lstatSync(this.#path(ref, state)).mtimeMs;
    } catch {
      return 0;
    }
  }

  #load(ref: RecordRef, known: Known): void {
    const state = results.find((s) => known.states.has(s));
    if (known.facts === undefined) {
      const content = state === undefined ? undefined : readIfThere(this.#path(ref, state));
      known.facts =
        (content === undefined ? undefined : readMarker(content, this.#writtenAt(ref, known))) ?? null;
    }
    if (known.mtime === undefined) {
      known.mtime = (known.states.has('mtime') ? readIfThere(this.#path(ref, 'mtime')) : undefined) ?? null;
    }
  }

  #fileOfShortened(folder: string, step: number, stem: string): string | undefined {
    const known = this.#stems(folder).get(stem)!;
    for (const state of results) {
      if (!known.states.has(state)) continue;
      const content = readIfThere(this.#pathOfStem(folder, stem, state));
      const file = content === undefined ? undefined : readMarker(content, 0)?.file;
      if (file !== undefined && this.#stem({ path: file, step }) === stem) return baseName(file);
    }
    return undefined;
  }

  /** Temporary files are left by a crash in the middle of a write. */
  #removeLeftover(folder: string, name: string, watch: string): void {
    if (
      this.readOnly ||
      !name.endsWith('.tmp') ||
      parseMarkerName(watch, name.slice(0, -'.tmp'.length)) === undefined
    )
      return;
    unlinkIfThere(bytesToBuffer(`${textToBytes(this.#directory(folder))}/${name}`));
  }

  #listOwn(folder: string): string[] {
    try {
      const names = readdirSync(bytesToBuffer(textToBytes(this.#directory(folder))), { encoding: 'latin1' });
      return names.filter((name) => name.startsWith(markerPrefix(textToBytes(this.watch))));
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return [];
      throw error;
    }
  }

  #directory = (folder: string): string => (folder === '' ? this.root : `${this.root}/${folder}`);
  /** The original never shortened a name: a marker of its own length is still found. */
  #stem(ref: RecordRef): string {
    const stem = this.#ownStem(ref);
    if (!isShortened(stem)) return stem;
    const whole = wholeStem(textToBytes(this.watch), ref.step, textToBytes(baseName(ref.path)));
    return this.#folders.get(folderOf(ref.path))?.has(whole) === true ? whole : stem;
  }

  #ownStem = (ref: RecordRef): string =>
    markerStem(textToBytes(this.watch), ref.step, textToBytes(baseName(ref.path)));

  #path = (ref: RecordRef, state: MarkerState): Buffer =>
    this.#pathOfStem(folderOf(ref.path), this.#stem(ref), state);
  #pathOfStem = (folder: string, stem: string, state: MarkerState): Buffer =>
    bytesToBuffer(`${textToBytes(this.#directory(folder))}/${stem}.${state}`);

  #known = (ref: RecordRef): Known | undefined => this.#folders.get(folderOf(ref.path))?.get(this.#stem(ref));

  #stems(folder: string): Map<string, Known> {
    let stems = this.#folders.get(folder);
    if (stems === undefined) this.#folders.set(folder, (stems = new Map()));
    return stems;
  }
}

function replace(path: Buffer, content: string): void {
  writeFileAtomic(path, Buffer.concat([path, Buffer.from('.tmp')]), content);
}

function remember(stems: Map<string, Known>, stem: string, state: MarkerState): void {
  const known = stems.get(stem);
  if (known === undefined) stems.set(stem, { states: new Set([state]) });
  else known.states.add(state);
}

/** What was read before stays valid while the same states are there. */
function keepFacts(known: Known, before: Known | undefined): boolean {
  if (before === undefined || before.states.size !== known.states.size) return false;
  if (![...before.states].every((state) => known.states.has(state))) return false;
  if (before.facts !== undefined) known.facts = before.facts;
  if (before.mtime !== undefined) known.mtime = before.mtime;
  if (before.writtenAt !== undefined) known.writtenAt = before.writtenAt;
  return true;
}

function readIfThere(path: Buffer): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function unlinkIfThere(path: Buffer): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}

import { flushDirectory, syncDirectory, writeFileAtomic, type Staged } from '../lib/atomic-write.js';
import { hasCode } from '../lib/errors.js';
import { realFileSystem, type FileSystem } from '../lib/file-system.js';
import { makeDirectory } from '../lib/make-directory.js';
import { bytesToBuffer, bytesToText, textToBytes } from '../lib/text.js';
import { toWordBuffer, type WordBuffer } from '../lib/word-buffer.js';
import type { FileStat, Identity } from './identity.js';
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
import { kind, type Counts, type FolderTable } from './folder-table.js';
import { KnownRecords, type Known } from './known-records.js';
import type { Placed } from './name-table.js';
import { placeOf, recordReader, slotsIn, statesIn } from './record-bits.js';
import { markerTime, timeMark, touchMark } from './marker-time.js';
import { publishAll, stageAll, syncAll, temporaryOf, writeTogether, type NewFile } from './marker-writer.js';
import type { NewRecord, RecordStore } from './record-store.js';
import { baseName, folderOf } from './select.js';

/** Bytes. Ours hold at most 1 MiB of each stream; the original's have all of it. */
const LARGEST_MARKER = 64 * 1024 * 1024;

const results = ['done', 'failed', 'killed'] as const;
const unknown: StepRecord = { states: new Set() };

/** Markers as files: beside the data, or mirrored under `statePath`. See RecordStore for the contract of each method. */
export class MarkerStore implements RecordStore {
  readonly #records = new KnownRecords();
  readonly #readName: ReturnType<typeof recordReader>;
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
    private readonly fs: FileSystem = realFileSystem,
  ) {
    this.#readName = recordReader(textToBytes(watch));
  }

  table = (folder: string): FolderTable => this.#records.table(folder);

  get folded(): Counts {
    return this.#records.folded;
  }

  listed(folder: string, name: WordBuffer, from: number, to: number, placed: Placed): boolean {
    if (!this.beside || this.#readName(name, from, to, placed)) return true;
    return !this.#removeLeftover(folder, name.bytes.toString('latin1', from, to));
  }

  listOwn(folder: string, placed: Placed): boolean {
    if (this.beside) return false;
    for (const name of this.#ownNames(folder))
      if (!this.#readName(toWordBuffer(name), 0, name.length, placed)) this.#removeLeftover(folder, name);
    return true;
  }

  relisted(folder: string, key: string): string | undefined {
    this.#records.forget(folder, key);
    return this.#pathOfKey(folder, key);
  }

  forget(path: string): void {
    this.#records.forget(folderOf(path), textToBytes(baseName(path)));
  }

  noticed(folder: string, hiddenName: string, exists: boolean): { path: string | undefined } | undefined {
    const marker = parseMarkerName(textToBytes(this.watch), hiddenName);
    if (marker === undefined || !this.beside) return undefined;
    const { step, file, stem, state } = marker;
    const known = this.#records.get(folder, step, file, stem);
    if (exists === (known?.states.has(state) ?? false)) return undefined;
    if (exists) this.#records.add(folder, step, file, stem, state);
    else known?.delete(state);
    const { key } = placeOf(step, file, stem);
    this.#records.forget(folder, key);
    return { path: this.#pathOfKey(folder, key) };
  }

  /** The path of the file that the records of a name belong to; undefined where the name is cut. */
  #pathOfKey(folder: string, key: string): string | undefined {
    if (key.startsWith('.') && isShortened(key)) return undefined;
    const name = key.startsWith('.') ? parseMarkerName(textToBytes(this.watch), `${key}.done`)?.file : key;
    if (name === undefined) return undefined;
    const file = bytesToText(name);
    return folder === '' ? file : `${folder}/${file}`;
  }

  isUntouched(path: string, file: FileStat): boolean {
    return this.#resultsOf(path).every(
      (ref) => timeMark(this.#writtenAt(ref, this.#known(ref)!)) === touchMark(file),
    );
  }

  identity(path: string): Identity | undefined {
    for (const ref of this.#resultsOf(path)) {
      const facts = this.facts(ref);
      if (facts?.identity !== undefined) return facts.identityNow ?? facts.identity;
    }
    return undefined;
  }

  /** The results of a file whose markers tell its name. */
  #resultsOf(path: string): RecordRef[] {
    const { names, records } = this.table(folderOf(path));
    const bits = records(names.find(textToBytes(baseName(path))));
    return slotsIn(bits)
      .map((step) => ({ path, step }))
      .filter(({ step }) => results.some((state) => statesIn(bits, step).has(state)));
  }

  reidentify(ref: RecordRef, now: Identity): void {
    const known = this.#known(ref);
    const state = results.find((s) => known?.states.has(s));
    const content = state === undefined ? undefined : this.#readIfThere(this.#path(ref, state));
    const changed = typeof content === 'string' ? withIdentityNow(content, now) : undefined;
    if (known === undefined || state === undefined || changed === undefined) return;
    this.#replace(this.#pathOfStem(folderOf(ref.path), this.#stem(ref), state), changed);
    known.learned.facts = undefined;
    this.#unflushed.add(folderOf(ref.path));
  }

  drop(folder: string): void {
    this.#records.drop(folder);
  }

  read(ref: RecordRef, file?: FileStat): StepRecord {
    const known = this.#known(ref);
    if (known === undefined) return unknown;
    if (!this.#isContentNeeded(ref, known, file)) return { states: known.states };
    const { facts, mtime } = this.#load(ref, known);
    return {
      states: known.states,
      ...(typeof mtime === 'string' && { mtime }),
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
    return this.#load(ref, known).facts ?? undefined;
  }

  write(result: Result, mtime: string | undefined): void {
    const staged = this.#stage({ result, mtime });
    syncAll(staged, this.fs);
    this.#publish(staged, { result, mtime });
  }

  writeAll(entries: readonly NewRecord[]): Promise<unknown[]> {
    const stage = (entry: NewRecord): Staged[] => this.#stage(entry);
    return writeTogether(entries, stage, (staged, entry) => this.#publish(staged, entry), this.fs);
  }

  /** The markers of a result under their temporary names. */
  #stage({ result, mtime }: NewRecord): Staged[] {
    const folder = folderOf(result.ref.path);
    // whatever the umask: who may write here decides what counts as processed
    if (!this.beside) makeDirectory(this.#directory(folder), 0o755, this.fs);
    const stem = this.#ownStem(result.ref);
    const path = this.#pathOfStem(folder, stem, result.job.state as MarkerState);
    const marker: NewFile = { path, content: markerContent(result), mtime: markerTime(result) };
    if (mtime === undefined) return stageAll([marker], this.fs);
    return stageAll([marker, { path: this.#pathOfStem(folder, stem, 'mtime'), content: mtime }], this.fs);
  }

  #publish(staged: readonly Staged[], { result, mtime }: NewRecord): void {
    const { ref } = result;
    const state = result.job.state as MarkerState;
    const folder = folderOf(ref.path);
    const stem = this.#ownStem(ref);
    publishAll(staged, this.fs);
    if (this.#stem(ref) !== stem) this.remove(ref, markerStates);
    this.remove(
      ref,
      results.filter((other) => other !== state),
    );
    const known = this.#records.add(folder, ref.step, textToBytes(baseName(ref.path)), stem, state);
    if (mtime !== undefined) known.add('mtime');
    known.learned.facts = {
      watch: result.watch,
      file: ref.path,
      identity: result.identity,
      identityNow: result.identityNow,
      attempt: result.attempt,
      endedAt: (result.job.end_ts ?? result.job.ts) * 1000,
    };
    known.learned.mtime = mtime;
    known.learned.writtenAt = undefined;
    this.#unflushed.add(folder);
  }

  remove(ref: RecordRef, states: readonly MarkerState[]): void {
    const known = this.#known(ref);
    for (const state of states) {
      if (!known?.states.has(state)) continue;
      this.#unlinkIfThere(this.#path(ref, state));
      if (state !== 'mtime') known.learned.facts = undefined;
      known.delete(state);
    }
    this.#unflushed.add(folderOf(ref.path));
  }

  flush(): void {
    for (const folder of this.#unflushed) {
      const directory = bytesToBuffer(textToBytes(this.#directory(folder)));
      if (this.fs.existsSync(directory)) syncDirectory(directory, this.fs);
    }
    this.#unflushed.clear();
  }

  async flushed(): Promise<void> {
    const folders = [...this.#unflushed];
    this.#unflushed.clear();
    try {
      await Promise.all(folders.map((folder) => this.#flushFolder(folder)));
    } catch (error) {
      for (const folder of folders) this.#unflushed.add(folder);
      throw error;
    }
  }

  async #flushFolder(folder: string): Promise<void> {
    const directory = bytesToBuffer(textToBytes(this.#directory(folder)));
    if (this.fs.existsSync(directory)) await flushDirectory(directory, this.fs);
  }

  *list(folder: string): Iterable<RecordRef> {
    const table = this.table(folder);
    for (const id of table.orphans()) {
      const key = table.names.name(id);
      if (key.startsWith('.')) yield* this.#refOfStem(folder, key);
      else {
        const path = bytesToText(folder === '' ? key : `${textToBytes(folder)}/${key}`);
        for (const step of slotsIn(table.records(id))) yield { path, step };
      }
    }
  }

  *#refOfStem(folder: string, stem: string): Iterable<RecordRef> {
    const { step, file: name } = parseMarkerName(textToBytes(this.watch), `${stem}.done`)!;
    const file = isShortened(stem) ? this.#fileOfShortened(folder, step, stem) : bytesToText(name);
    if (file === undefined || this.table(folder).kindOf(textToBytes(file)) !== kind.none) return;
    yield { path: folder === '' ? file : `${folder}/${file}`, step };
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
      Number.isFinite(Number(known.learned.mtime ?? NaN))
    );
  }

  #isContentNeeded(ref: RecordRef, known: Known, file: FileStat | undefined): boolean {
    const { learned } = known;
    if (learned.facts !== undefined || this.needsContent || known.states.has('failed')) return true;
    if (file === undefined) return false;
    learned.writtenAt ??= this.#writtenAt(ref, known);
    return timeMark(learned.writtenAt) !== touchMark(file);
  }

  #writtenAt(ref: RecordRef, known: Pick<Known, 'states'>): number {
    const state = results.find((s) => known.states.has(s)) ?? 'mtime';
    try {
      return this.fs.lstatSync(this.#path(ref, state)).mtimeMs;
    } catch {
      return 0;
    }
  }

  #load(ref: RecordRef, { states, learned }: Known): Known['learned'] {
    const state = results.find((s) => states.has(s));
    if (learned.facts === undefined) {
      const content = state === undefined ? null : this.#readIfThere(this.#path(ref, state));
      // what cannot be read now is read again the next time
      if (content !== undefined)
        learned.facts =
          (content === null ? undefined : readMarker(content, this.#writtenAt(ref, { states }))) ?? null;
    }
    if (learned.mtime === undefined) {
      learned.mtime = states.has('mtime') ? this.#readIfThere(this.#path(ref, 'mtime')) : null;
    }
    return learned;
  }

  #fileOfShortened(folder: string, step: number, stem: string): string | undefined {
    const known = this.#records.get(folder, step, '', stem);
    for (const state of results) {
      if (known?.states.has(state) !== true) continue;
      const content = this.#readIfThere(this.#pathOfStem(folder, stem, state));
      const file = typeof content === 'string' ? readMarker(content, 0)?.file : undefined;
      if (file !== undefined && this.#stem({ path: file, step }) === stem) return baseName(file);
    }
    return undefined;
  }

  /** Temporary files are left by a crash in the middle of a write. @returns whether it is one */
  #removeLeftover(folder: string, name: string): boolean {
    if (
      !name.endsWith('.tmp') ||
      parseMarkerName(textToBytes(this.watch), name.slice(0, -'.tmp'.length)) === undefined
    )
      return false;
    if (!this.readOnly) this.#unlinkIfThere(bytesToBuffer(`${textToBytes(this.#directory(folder))}/${name}`));
    return true;
  }

  #ownNames(folder: string): string[] {
    try {
      const names = this.fs.readdirSync(bytesToBuffer(textToBytes(this.#directory(folder))), {
        encoding: 'latin1',
      });
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
    return this.#records.get(folderOf(ref.path), ref.step, '', whole) === undefined ? stem : whole;
  }

  #ownStem = (ref: RecordRef): string =>
    markerStem(textToBytes(this.watch), ref.step, textToBytes(baseName(ref.path)));

  #path = (ref: RecordRef, state: MarkerState): Buffer =>
    this.#pathOfStem(folderOf(ref.path), this.#stem(ref), state);
  #pathOfStem = (folder: string, stem: string, state: MarkerState): Buffer =>
    bytesToBuffer(`${textToBytes(this.#directory(folder))}/${stem}.${state}`);

  #replace(path: Buffer, content: string, mtime?: number): void {
    writeFileAtomic(path, temporaryOf(path), content, 0o644, this.fs, mtime);
  }

  /**
   * Others may write here: a FIFO would hang the watcher for ever, and a link may lead to anything.
   * @returns null when there is no such file; undefined when it cannot be read now
   */
  #readIfThere(path: Buffer): string | null | undefined {
    try {
      const stat = this.fs.lstatSync(path);
      if (!stat.isFile() || stat.size > LARGEST_MARKER) return null;
      return this.fs.readFileSync(path, 'utf8');
    } catch (error) {
      return hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP') ? null : undefined;
    }
  }

  #unlinkIfThere(path: Buffer): void {
    try {
      this.fs.unlinkSync(path);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
    }
  }

  #known = (ref: RecordRef): Known | undefined =>
    this.#records.get(folderOf(ref.path), ref.step, textToBytes(baseName(ref.path)), this.#stem(ref));
}

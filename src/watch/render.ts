import { RenderError, renderJob, type Lookup } from '../config/placeholders.js';
import type { JobTemplate, WatchDefinition } from '../config/schema.js';
import type { JobSpec } from '../protocol/job.js';
import { pythonMtime } from './identity.js';
import type { ObservedFile } from './observation.js';
import { baseName } from './select.js';
import type { Unit } from './unit.js';

export type Rendered =
  { readonly ok: true; readonly spec: JobSpec } | { readonly ok: false; readonly message: string };

/** Renders a job spec for a unit; a placeholder that this file cannot fill is this file's problem only. */
export function renderUnit(
  watch: WatchDefinition,
  unit: Unit,
  step: number,
  attempt: number,
  template: JobTemplate,
): Rendered {
  try {
    return { ok: true, spec: renderJob(template, unitLookup(watch, unit, step, attempt)) };
  } catch (error) {
    if (error instanceof RenderError) return { ok: false, message: error.message };
    throw error;
  }
}

/** What the placeholders of a unit stand for: the documented keys, those of the contract, captures, then the watch's own keys. */
export function unitLookup(watch: WatchDefinition, unit: Unit, step: number, attempt: number): Lookup {
  const { file } = unit;
  const name = baseName(file.path);
  const dot = name.lastIndexOf('.');
  const members = unit.members ?? [[file]];
  const own: Record<string, () => ReturnType<Lookup>> = {
    name: () => watch.name,
    filename: () => name,
    file: () => absolute(watch, file),
    fileset: () => members.flat().map((member) => baseName(member.path)),
    files: () => members.flat().map((member) => absolute(watch, member)),
    index: () => step,
    stem: () => (dot > 0 ? name.slice(0, dot) : name),
    ext: () => (dot > 0 ? name.slice(dot + 1) : ''),
    size: () => file.stat.size,
    mtime: () => pythonMtime(file.stat.mtimeNs),
    attempt: () => attempt,
    path: () => watch.path,
  };
  return (key) => {
    if (Object.hasOwn(own, key)) return own[key]!();
    if (Object.hasOwn(file.selection.captures, key)) return file.selection.captures[key];
    const list = /^fileset(\d+)$/.exec(key);
    if (list !== null) return oneOrMany(members[Number(list[1])]?.map((member) => baseName(member.path)));
    if (/^\d+$/.test(key)) return file.selection.parts[Number(key)];
    return watchKey(watch, key);
  };
}

/** The keys a job of a watch without files can use. */
export const serviceLookup =
  (watch: WatchDefinition, step: number, attempt: number): Lookup =>
  (key) => {
    if (key === 'name') return watch.name;
    if (key === 'index') return step;
    if (key === 'attempt') return attempt;
    return watchKey(watch, key);
  };

export const absolute = (watch: WatchDefinition, file: Pick<ObservedFile, 'path'>): string =>
  watch.path === '/' ? `/${file.path}` : `${watch.path}/${file.path}`;

const oneOrMany = (names: string[] | undefined): string | string[] | undefined =>
  names?.length === 1 ? names[0] : names;

function watchKey(watch: WatchDefinition, key: string): ReturnType<Lookup> {
  const value = Object.hasOwn(watch.keys, key) ? watch.keys[key] : undefined;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  return Array.isArray(value) ? value.map(String) : undefined;
}

import type Database from 'better-sqlite3';
import { createHash } from 'node:crypto';

const KEPT = 64;

export type Environment = Readonly<Record<string, string>>;

/** The environments of jobs, each once, in a table of their own: they are large, secret and mostly the same. */
export class Environments {
  /** those known to be on disk, so that a thousand jobs of one submitter write one */
  private readonly texts = new Map<string, string>();
  /** the same as `get` gives them, frozen */
  private readonly parsed = new Map<string, Environment>();
  /** names of those that cannot change any more */
  private names = new WeakMap<object, string>();
  private readonly getOne: Database.Statement<[string], { env: string }>;
  private readonly putOne: Database.Statement<[string, string]>;
  private readonly dropUnused: Database.Statement<[]>;

  constructor(db: Database.Database) {
    this.getOne = db.prepare('SELECT env FROM envs WHERE name = ?');
    this.putOne = db.prepare('INSERT OR IGNORE INTO envs (name, env) VALUES (?, ?)');
    this.dropUnused = db.prepare(
      'DELETE FROM envs WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.env = envs.name)',
    );
  }

  /** The name of an environment; written when it is new. */
  put(env: Environment): string {
    const known = this.names.get(env);
    if (known !== undefined) return known;
    const text = JSON.stringify(env);
    const name = createHash('sha256').update(text).digest('base64url').slice(0, 27);
    if (!this.texts.has(name)) {
      if (this.texts.size >= KEPT) this.forget();
      this.putOne.run(name, text);
      this.texts.set(name, text);
    }
    if (Object.isFrozen(env)) this.names.set(env, name);
    return name;
  }

  get(name: string): Environment | undefined {
    const known = this.parsed.get(name);
    if (known !== undefined) return known;
    const text = this.texts.get(name) ?? this.getOne.get(name)?.env;
    if (text === undefined) return undefined;
    const env = Object.freeze(JSON.parse(text) as Environment);
    if (this.parsed.size >= KEPT) this.parsed.clear();
    this.parsed.set(name, env);
    return env;
  }

  /** Removes those that no job has any more. */
  prune(): void {
    this.dropUnused.run();
    this.forget();
  }

  /** What was written last may not be on disk after all. */
  forget(): void {
    this.texts.clear();
    this.parsed.clear();
    this.names = new WeakMap();
  }
}

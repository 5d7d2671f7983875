import * as fs from 'node:fs';
import { promisify } from 'node:util';
import { openDirectory } from './directory-reader.js';

/**
 * What the watcher does to directories, data and markers, as Node does it. It is handed in, so that tests can let any
 * single operation fail: an error here means unknown, never absent.
 */
export type FileSystem = Pick<
  typeof fs,
  | 'accessSync'
  | 'closeSync'
  | 'existsSync'
  | 'fdatasyncSync'
  | 'futimesSync'
  | 'linkSync'
  | 'lstatSync'
  | 'mkdirSync'
  | 'openSync'
  | 'readdirSync'
  | 'readFileSync'
  | 'renameSync'
  | 'statfsSync'
  | 'statSync'
  | 'unlinkSync'
  | 'writeFileSync'
  | 'writeSync'
> & {
  /** fdatasync(2) beside the event loop: several at a time share what the disk does for them */
  flush(fd: number): Promise<void>;
  openDirectory: typeof openDirectory;
};

export const realFileSystem: FileSystem = { ...fs, flush: promisify(fs.fdatasync), openDirectory };

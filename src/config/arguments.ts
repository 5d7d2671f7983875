import { splitAssignment } from './keypath.js';
import { fileExists } from './read.js';

export interface Arguments {
  /** `key=value` and `key:=json`, in order */
  readonly overrides: string[];
  readonly files: string[];
}

/**
 * Tells settings from configuration files, in any order. An argument with `=` is a setting, unless it has a slash
 * and is the path of an existing file.
 */
export function splitArguments(args: readonly string[], exists = fileExists): Arguments {
  const isFile = (argument: string): boolean =>
    splitAssignment(argument) === undefined || (argument.includes('/') && exists(argument));
  return {
    overrides: args.filter((argument) => !isFile(argument)),
    files: args.filter(isFile),
  };
}

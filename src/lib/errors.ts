/** True for a system error with one of the codes. */
export const hasCode = (error: unknown, ...codes: readonly string[]): boolean =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);

/** A system error in words for an operator: what failed on which path, without a stack. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const plain = code === undefined ? undefined : plainWords[code];
  return plain === undefined ? error.message : `${plain} (${code})`;
}

const plainWords: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOTDIR: 'not a directory',
  EISDIR: 'it is a directory',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'the disk quota is used up',
  EMFILE: 'too many open files; raise the limit (ulimit -n)',
  ENFILE: 'too many open files on this machine; raise its limit (sysctl fs.file-max)',
  ENOMEM: 'out of memory',
  ENAMETOOLONG: 'the name is too long',
  ESTALE: 'stale file handle: the network mount was replaced',
  EIO: 'input/output error',
};

/** An error of the user's making: shown in one line, without a stack. `exitCode` as documented in the help. */
export class UserError extends Error {
  constructor(
    message: string,
    readonly exitCode = 2,
  ) {
    super(message);
    this.name = 'UserError';
  }
}

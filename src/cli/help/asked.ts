/** Whether a command line asks for the page of the program, and not for the help of one of its commands. */
export function asksForPage(args: readonly string[], commands: readonly string[]): boolean {
  const end = args.indexOf('--');
  const own = end < 0 ? args : args.slice(0, end);
  const first = own.find((arg) => !arg.startsWith('-'));
  const isCommand = first !== undefined && first !== 'run' && commands.includes(first);
  return !isCommand && own.some((arg) => arg === '--help' || arg === '-h');
}

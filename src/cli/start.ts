import { exitCodes, type Context } from './context.js';
import { asksForPage } from './help/asked.js';
import { renderText, type Page } from './help/page.js';

type Main = (args: readonly string[], context: Context) => Promise<number>;

/** A program before anything but its page is loaded: parsers, schemas and databases take five times as long as the page. */
export interface Program {
  readonly page: Page;
  readonly commands: readonly string[];
  readonly load: () => Promise<{ main: Main }>;
}

/** Runs one command line. @returns the exit code; errors are on standard error in one line by then */
export async function start(program: Program, args: readonly string[], context: Context): Promise<number> {
  if (asksForPage(args, program.commands)) {
    context.out(renderText(program.page, context.columns));
    return exitCodes.ok;
  }
  const { main } = await program.load();
  return main(args, context);
}

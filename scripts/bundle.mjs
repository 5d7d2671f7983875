// Part of `npm run build`: puts the modules that every command of meeseeks-client loads into two files. Node spends a third
// of a millisecond on each, which for forty of them is more than a short command itself takes. Other commands stay chunks
// that are loaded when they are called; libraries stay where they are; dist/client, the library, is as tsc made it.
import { join, resolve } from 'node:path';
import { rolldown } from 'rolldown';

const directory = resolve(import.meta.dirname, '../dist/cli/client');
const program = join(directory, 'program.js');
/** What is loaded in any case: all that is imported without `await import`, from the program on. */
const always = new Set([program]);

const bundle = await rolldown({
  input: program,
  platform: 'node',
  external: (id) => !id.startsWith('.') && !id.startsWith('/'),
  plugins: [
    {
      name: 'what-is-always-loaded',
      buildEnd() {
        // a set may grow while it is walked
        for (const id of always)
          for (const imported of this.getModuleInfo(id)?.importedIds ?? []) always.add(imported);
      },
    },
  ],
  onwarn: (warning) => {
    throw new Error(warning.message);
  },
});
await bundle.write({
  dir: directory,
  format: 'esm',
  // over the file of tsc: the module finds package.json relative to itself
  entryFileNames: 'program.js',
  chunkFileNames: 'chunks/[name].js',
  codeSplitting: { groups: [{ name: 'always', test: (id) => id !== program && always.has(id) }] },
});
await bundle.close();

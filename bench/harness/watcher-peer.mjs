// One way to watch a directory, in a process of its own: `node watcher-peer.mjs LIBRARY DIRECTORY`. Says on stdout how many
// ms it took until it was ready, then the name of each file for which an event comes.
import { watch } from 'node:fs';
import { basename } from 'node:path';

const [, , library, directory] = process.argv;
const say = (text) => process.stdout.write(`${text}\n`);
const begin = performance.now();
const ready = () => say(performance.now() - begin);

const libraries = {
  'fs.watch': () => {
    watch(directory, (_, name) => say(name));
    ready();
  },
  chokidar: async () => {
    const chokidar = await import('chokidar');
    const watcher = chokidar.watch(directory, { ignoreInitial: true, depth: 0 });
    watcher.on('add', (path) => say(basename(path))).on('ready', ready);
  },
  'chokidar, files ignored': async () => {
    const chokidar = await import('chokidar');
    const ignored = (path) => path !== directory;
    const watcher = chokidar.watch(directory, { ignoreInitial: true, depth: 0, ignored });
    watcher.on('raw', (_, name) => say(basename(name))).on('ready', ready);
  },
  '@parcel/watcher': async () => {
    // by its name in a variable: it is compared when it is there, and no dependency
    const { subscribe } = await import(library);
    await subscribe(directory, (_, events) => events.forEach(({ path }) => say(basename(path))));
    ready();
  },
};

await libraries[library]();

#!/usr/bin/env node
import { watchCommands } from '../cli/command-names.js';
import { watchPage } from '../cli/help/watch-page.js';
import { start } from '../cli/start.js';
import { keepCompiledCode } from './compile-cache.js';
import { surviveClosedPipes, reportCrashes } from './process-guards.js';
import { systemContext } from './system-context.js';

surviveClosedPipes();
reportCrashes('meeseeks-watch');
keepCompiledCode(process.env);

const program = { page: watchPage, commands: watchCommands, load: () => import('../cli/program.js') };
process.exitCode = await start(program, process.argv.slice(2), systemContext());

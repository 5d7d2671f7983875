#!/usr/bin/env node
import { boxCommands } from '../cli/command-names.js';
import { boxPage } from '../cli/help/box-page.js';
import { start } from '../cli/start.js';
import { keepCompiledCode } from './compile-cache.js';
import { surviveClosedPipes, reportCrashes } from './process-guards.js';
import { systemContext } from './system-context.js';

surviveClosedPipes();
reportCrashes('meeseeks-box');
keepCompiledCode(process.env);

const program = { page: boxPage, commands: boxCommands, load: () => import('../cli/box/program.js') };
process.exitCode = await start(program, process.argv.slice(2), systemContext());

#!/usr/bin/env node
import { main } from '../cli/program.js';
import { surviveClosedPipes, reportCrashes } from './process-guards.js';
import { systemContext } from './system-context.js';

surviveClosedPipes();
reportCrashes('meeseeks-watch');

process.exitCode = await main(process.argv.slice(2), systemContext());

#!/usr/bin/env node
import { main } from '../cli/box/program.js';
import { surviveClosedPipes, reportCrashes } from './process-guards.js';
import { systemContext } from './system-context.js';

surviveClosedPipes();
reportCrashes('meeseeks-box');

process.exitCode = await main(process.argv.slice(2), systemContext());

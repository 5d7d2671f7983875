#!/usr/bin/env node
import { main } from '../cli/box/program.js';
import { systemClock } from '../lib/clock.js';
import { surviveClosedPipes, reportCrashes } from './process-guards.js';

surviveClosedPipes();
reportCrashes('meeseeks-box');

process.exitCode = await main(process.argv.slice(2), {
  cwd: process.cwd(),
  env: process.env,
  clock: systemClock,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  isTerminal: process.stderr.isTTY,
  columns: process.stdout.columns ?? process.stderr.columns ?? 80,
  onSignal: (signal, listener) => {
    process.on(signal, listener);
    return () => void process.off(signal, listener);
  },
});

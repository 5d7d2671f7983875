#!/usr/bin/env node
import { basename } from 'node:path';
import { clientMain } from '../cli/client/program.js';
import { systemClock } from '../lib/clock.js';
import { surviveClosedPipes, reportCrashes } from './process-guards.js';

surviveClosedPipes();
reportCrashes('meeseeks-client');

process.exitCode = await clientMain(process.argv.slice(2), basename(process.argv[1] ?? '', '.js'), {
  cwd: process.cwd(),
  env: process.env,
  clock: systemClock,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  outBytes: (bytes) => void process.stdout.write(bytes),
  errBytes: (bytes) => void process.stderr.write(bytes),
  isTerminal: process.stderr.isTTY,
  outIsTerminal: process.stdout.isTTY,
  get columns() {
    return process.stdout.columns ?? 80; // a window changes its size while `top` runs
  },
  rows: () => process.stdout.rows ?? 24,
  onSignal: (signal, listener) => {
    process.on(signal, listener);
    return () => void process.off(signal, listener);
  },
});

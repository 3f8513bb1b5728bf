#!/usr/bin/env node
import { run } from './program';
import { processTerminal } from './terminal';

// Whoever reads it may have seen enough, as `head` does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

void run(process.argv.slice(2), processTerminal()).then(exitCode => {
  process.exitCode = exitCode;
});

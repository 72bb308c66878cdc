#!/usr/bin/env node
import { runProgram } from './program.js';

// `kafnus ... | head` closes the pipe early, which is not a failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const code = await runProgram(process.argv.slice(2), {
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  interrupted: () =>
    new Promise((resolve) => {
      process.once('SIGINT', () => resolve());
      process.once('SIGTERM', () => resolve());
      // The terminal was closed.
      process.once('SIGHUP', () => resolve());
    }),
});
// Explicit: with the Kafka client loaded, the regular end of the process sometimes never comes, in
// an endless loop.
process.exit(code);

#!/usr/bin/env node
import { runProgram } from './program.js';

// `kafnus ... | head`: who has seen enough closes the pipe, and that is no failure.
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
      // The terminal is gone.
      process.once('SIGHUP', () => resolve());
    }),
});
// Not left to Node: with the Kafka client loaded, its clean-up at the end of a process sometimes spins for good.
process.exit(code);

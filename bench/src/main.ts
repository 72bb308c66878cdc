/** Runs the sections of the benchmark in sequence, and prints tables and targets. */
import { help, parseOptions, type Options } from './options.js';
import { runSections } from './sections.js';

let options: Options | undefined;
try {
  options = parseOptions(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\nTry: make bench ARGS=--help\n`);
  process.exit(2);
}
if (options === undefined) process.stdout.write(help);
else process.exitCode = (await runSections(options)) ? 0 : 1;

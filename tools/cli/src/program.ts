/** Runs the command, and turns errors into messages and exit codes. */
import { ConfigurationError, suggestion, version } from '@kafnus/agent-runtime';
import { messageOf } from '@kafnus/kafka-admin';
import { exitCodes, UsageError, type Io } from './command.js';
import { commands } from './commands.js';
import { nextStep } from './next-step.js';
import { quoted } from './terminal/text.js';

/** The text of `kafnus --help`. */
export function programHelp(): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const list = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}\n`).join('');
  return `Usage: kafnus <command> [options]

The command line of the Kafnus NGSI agents.

Commands:
${list}
Options:
  --help     this text; 'kafnus <command> --help' shows the options of a command
  --version

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
`;
}

/** @returns the exit code. Errors are printed on `io.stderr` */
export async function runProgram(argv: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined) {
    io.stderr.write(programHelp());
    return exitCodes.usage;
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    const topic = rest[0];
    if (topic !== undefined) return runProgram([topic, '--help'], io);
    io.stdout.write(programHelp());
    return exitCodes.ok;
  }
  if (name === '--version') {
    io.stdout.write(`kafnus ${version}\n`);
    return exitCodes.ok;
  }
  const entry = commands.find((command) => command.name === name);
  if (entry === undefined) {
    const names = commands.map((command) => command.name);
    const what = name.startsWith('-') ? 'option' : 'command';
    io.stderr.write(`kafnus: unknown ${what} ${quoted(name)}${suggestion(name, names)}\n'kafnus --help' lists all.\n`);
    return exitCodes.usage;
  }
  const { command } = await entry.load();
  if (rest.includes('--help') || rest.includes('-h')) {
    io.stdout.write(command.help);
    return exitCodes.ok;
  }
  try {
    return await command.run(rest, io);
  } catch (error) {
    const message = messageOf(error);
    io.stderr.write(`kafnus ${name}: ${message}\n`);
    const usage = error instanceof UsageError || error instanceof ConfigurationError;
    const step = usage ? undefined : nextStep(message);
    if (step !== undefined) io.stderr.write(`  -> ${step}\n`);
    if (error instanceof UsageError) io.stderr.write(`'kafnus ${name} --help' shows the usage.\n`);
    return usage ? exitCodes.usage : exitCodes.failure;
  }
}

/** Options of commands: `node:util` parseArgs with messages for people, and checked values. */
import { ConfigurationError } from '@kafnus/agent-runtime';
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { UsageError } from './command.js';
import { suggestion } from './suggestion.js';
import { quoted } from './terminal/text.js';
import { messageOf } from './error-text.js';

type Options = NonNullable<ParseArgsConfig['options']>;

/**
 * Parses what follows a command's name. `--help` is the program's.
 * @throws UsageError naming the argument that is wrong
 */
export function parseOptions<const O extends Options>(
  argv: readonly string[],
  options: O,
  positionals: boolean,
): ReturnType<typeof parseArgs<{ args: string[]; options: O; allowPositionals: boolean; strict: true }>> {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: positionals, strict: true });
  } catch (error) {
    throw new UsageError(explained(error, Object.keys(options)));
  }
}

/** The messages of parseArgs name the argument, but go on about details of parsing. */
function explained(error: unknown, names: readonly string[]): string {
  const message = messageOf(error);
  const unknown = /^Unknown option '(--?[^']*)'/.exec(message)?.[1];
  if (unknown !== undefined) {
    const near = suggestion(unknown.replace(/^-+/, ''), names).replace('did you mean ', 'did you mean --');
    return `unknown option ${quoted(unknown)}${near}`;
  }
  const surplus = /^Unexpected argument '([^']*)'/.exec(message)?.[1];
  if (surplus !== undefined) return `unexpected argument ${quoted(surplus)}`;
  const missing = /^Option '(?:-\w, )?(--[^ ']+)(?: <value>)?' argument (missing|is ambiguous)/.exec(message)?.[1];
  if (missing !== undefined) return `${missing} needs a value: write ${missing}=VALUE`;
  const flag = /^Option '(?:-\w, )?(--[^ ']+)' does not take an argument/.exec(message)?.[1];
  if (flag !== undefined) return `${flag} takes no value`;
  return message;
}

/**
 * Runs what reads settings of the agents from options of a command, whose names are shorter.
 * @param names the agents' name of an option, and the command's
 * @throws ConfigurationError whose problems name the option that the user knows
 */
export function inOptionsOfCommand<T>(names: Readonly<Record<string, string>>, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    const known = (problem: string): string =>
      problem.replace(/--([a-z-]+)/g, (option, name: string) =>
        Object.hasOwn(names, name) ? `--${names[name] ?? name}` : option,
      );
    throw new ConfigurationError(error.problems.map(known));
  }
}

/** @throws UsageError unless the text is a whole number of at least `least` */
export function wholeNumber(option: string, text: string, least = 1): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
  throw new UsageError(`${option} must be a whole number of at least ${least}, not ${quoted(text)}`);
}

/** @throws UsageError unless the text is a number above 0 */
export function positiveNumber(option: string, text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value > 0) return value;
  throw new UsageError(`${option} must be a number above 0, not ${quoted(text)}`);
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `90`, `90s`, `1.5m`, `500ms`, `2h`: milliseconds. A number alone means seconds. @throws UsageError */
export function duration(option: string, text: string): number {
  const [, number = '', unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  const value = Number(number) * (unitMs[unit] ?? Number.NaN);
  if (number !== '' && value > 0) return value;
  throw new UsageError(`${option} must be a time such as 30s, 5m or 500ms, not ${quoted(text)}`);
}

/** @throws UsageError unless the text is a date of ISO 8601 */
export function instant(option: string, text: string): number {
  const value = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isFinite(value)) return value;
  throw new UsageError(`${option} must be a date such as 2026-05-01T08:00:00Z, not ${quoted(text)}`);
}

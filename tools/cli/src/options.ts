/** Parses and validates the options of commands. */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { ConfigurationError, suggestion } from '@kafnus/agent-runtime';
import { messageOf } from '@kafnus/kafka-admin';
import { UsageError } from './command.js';
import { quoted } from './terminal/text.js';

type Options = NonNullable<ParseArgsConfig['options']>;

/**
 * Parses the arguments of a command. The program handles `--help`.
 * @throws UsageError naming the wrong argument
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

/** Shortens the messages of parseArgs to the argument and what is wrong with it. */
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
 * Calls `read`, which reads settings of the agents. Options of a command have shorter names than
 * they.
 * @param names the option's name in the agents, and in the command
 * @throws ConfigurationError with the names of the command
 */
export function inOptionsOfCommand<T>(names: Readonly<Record<string, string>>, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    const renamed = (problem: string): string =>
      problem.replace(/--([a-z-]+)/g, (option, name: string) =>
        Object.hasOwn(names, name) ? `--${names[name] ?? name}` : option,
      );
    throw new ConfigurationError(error.problems.map(renamed));
  }
}

/**
 * The action of a command that has several, such as `plan`.
 * @param positionals the arguments without options: the action, and nothing else
 * @param usage what to write instead, for the message
 * @throws UsageError
 */
export function actionOf<A extends string>(positionals: readonly string[], actions: readonly A[], usage: string): A {
  const [name, ...surplus] = positionals;
  const action = actions.find((one) => one === name);
  if (action === undefined) {
    const what = name === undefined ? 'the action is missing' : `unknown action ${quoted(name)}`;
    throw new UsageError(`${what}: ${usage}`);
  }
  requireNoArguments(surplus);
  return action;
}

/** @throws UsageError naming the first argument */
export function requireNoArguments([surplus]: readonly string[]): void {
  if (surplus !== undefined) throw new UsageError(`unexpected argument ${quoted(surplus)}`);
}

/**
 * @throws UsageError naming the option and its value when `topic`, which follows from it, is no
 * legal name
 */
export function requireTopicName(option: string, value: string, topic = value): void {
  if (/^[A-Za-z0-9._-]{1,249}$/.test(topic)) return;
  const verb = topic === value ? 'is' : 'gives';
  throw new UsageError(
    `${option} ${quoted(value)} ${verb} no legal topic name: letters, digits, dots, dashes and underscores`,
  );
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

/**
 * `90`, `90s`, `1.5m`, `500ms`, `2h`: milliseconds. A number alone means seconds.
 * @throws UsageError
 */
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

/**
 * A date (`2026-05-01T08:00:00Z`) or an age (`30m`), as milliseconds since the epoch.
 * @throws UsageError
 */
export function instantOrAge(option: string, text: string): number {
  if (/^\d{4}-/.test(text)) return instant(option, text);
  if (/^\d/.test(text)) return Date.now() - duration(option, text);
  throw new UsageError(
    `${option} must be a date such as 2026-05-01T08:00:00Z or an age such as 30m, not ${quoted(text)}`,
  );
}

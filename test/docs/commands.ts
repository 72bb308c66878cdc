/**
 * Finds the command lines of a page and checks that the programs of this repository accept them.
 */
import { settingsReference, settingsOf } from '@kafnus/agent-runtime';
import { topicsOptions } from '@kafnus/kafka-admin';
import { agent as errors } from '../../services/errors/src/agent.js';
import { agent as historic } from '../../services/historic/src/agent.js';
import { agent as lastdata } from '../../services/lastdata/src/agent.js';
import { agent as mutable } from '../../services/mutable/src/agent.js';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { commands } from '../../tools/cli/src/commands.js';
import type { Page } from './markdown.js';
import { root } from './repository.js';

/** The commands and options that exist. */
export interface Programs {
  readonly targets: ReadonlySet<string>;
  /** The help of each command of `kafnus`. */
  readonly help: ReadonlyMap<string, string>;
  /** The arguments of each agent. */
  readonly arguments: ReadonlyMap<string, ReadonlySet<string>>;
}

export const agents = { historic, lastdata, mutable, errors };

export async function programs(): Promise<Programs> {
  const makefile = readFileSync(join(root, 'Makefile'), 'utf8');
  const help = new Map<string, string>();
  // Sequential: Jest's module loader fails when concurrent imports share a module.
  for (const { name, load } of commands) help.set(name, (await load()).command.help);
  return {
    targets: new Set([...makefile.matchAll(/^([a-z][a-z-]*):/gm)].map(([, name = '']) => name)),
    help,
    arguments: new Map(
      Object.entries(agents).map(([name, agent]) => [
        name,
        new Set([
          ...settingsReference(settingsOf(agent)).map(({ argument }) => argument),
          '--config',
          '--help',
          '--version',
        ]),
      ]),
    ),
  };
}

/** Returns each command of a page that no program accepts, as `problem: the line`. */
export function impossibleCommands(page: Page, known: Programs): string[] {
  return commandLines(page).flatMap((line) => {
    const problem = problemOf(words(line), known);
    return problem === undefined ? [] : [`${problem}: ${line}`];
  });
}

/**
 * Splits a block into single commands. Continued lines are joined, pipes and lists are split,
 * comments and assignments are removed.
 */
function commandLines({ spans, blocks }: Page): string[] {
  const lines = [...spans, ...blocks.flatMap((block) => block.replace(/\\\n\s*/g, ' ').split('\n'))];
  return lines
    .flatMap((line) => line.replace(/\s#.*/, '').split(/\s(?:&&|\|\|?|;)\s|\$\(/))
    .map((line) =>
      line
        .trim()
        .replace(/^\$ /, '')
        .replace(/^(?:[A-Z_]+=\S*\s+)+/, ''),
    );
}

const words = (line: string): string[] => line.split(/\s+/);

function problemOf([program = '', ...rest]: readonly string[], known: Programs): string | undefined {
  if (program === 'make') return rest.map((word) => makeProblem(word, known)).find(Boolean);
  if (program === 'kafnus' || program === './kafnus') return kafnusProblem(rest, known);
  if (program !== 'node') return undefined;
  const [script = '', ...args] = rest;
  const agent = /^services\/(\w+)\/dist\/main\.js$/.exec(script)?.[1];
  return agent === undefined ? undefined : agentProblem(agent, args, known);
}

function makeProblem(word: string, { targets }: Programs): string | undefined {
  return /^[a-z][a-z-]*$/.test(word) && !targets.has(word) ? `no target "${word}" in the Makefile` : undefined;
}

function kafnusProblem([name = '', ...args]: readonly string[], { help }: Programs): string | undefined {
  // A placeholder such as `...` or `<command>`.
  if (!/^[a-z]/.test(name)) return undefined;
  const text = help.get(name);
  if (text === undefined) return `no command "${name}" of kafnus`;
  const [action = ''] = args;
  const usage = text.slice(0, text.indexOf('\n\n'));
  if (/^[a-z]+$/.test(action) && !new RegExp(`\\b${action}\\b`).test(usage))
    return `kafnus ${name} knows no "${action}"`;
  const unknown = options(args).find((option) => !new RegExp(`(^|[ [])${option}\\b(?!-)`, 'm').test(text));
  return unknown === undefined ? undefined : `kafnus ${name} has no option ${unknown}`;
}

function agentProblem(name: string, args: readonly string[], known: Programs): string | undefined {
  const allowed = known.arguments.get(name);
  if (allowed === undefined) return `no agent "${name}"`;
  const unknown = options(args).find(
    (option) => !allowed.has(option) && !(args[0] === 'topics' && topicsOptions.includes(`${option} `)),
  );
  return unknown === undefined ? undefined : `${name} has no option ${unknown}`;
}

function options(args: readonly string[]): string[] {
  return args.flatMap((word) => /^(--[a-z][a-z-]*)/.exec(word)?.[1] ?? []);
}

/** The sub-command of an agent's own program: `node dist/main.js topics plan|apply|check`. */
import type { Agent } from '@kafnus/agent-contract';
import {
  messageOf,
  runTopics,
  topicActions,
  topicsJson,
  topicsOptions,
  topicsSummary,
  topicsText,
  type TopicAction,
} from '@kafnus/kafka-admin';
import { topicsOf } from './agent-topics.js';
import { ConfigurationError, loadConfig, type Environment } from './config.js';
import { shown } from './config/problems.js';

export interface TopicsCommandIo {
  readonly env: Environment;
  readonly stdout: (text: string) => unknown;
  readonly stderr: (text: string) => unknown;
}

function help(agent: string): string {
  return `Usage: node dist/main.js topics plan|apply|check [options] [settings]

The topics of the agent "${agent}" besides its output topics: the raw topic, the dead-letter topic and,
for an agent with state, the changelog. Settings are those of the agent ('--help' without 'topics').

${topicsSummary}

Options:
${topicsOptions}
  --help

Exit codes: 0 done, or (check) nothing is an error; 1 refused, failed, no answer, or (check, apply)
something is an error; 2 called or configured wrongly.
`;
}

/** It was called wrongly: exit code 2. */
class UsageError extends Error {}

/**
 * Runs the sub-command.
 * @param argv what follows `topics`
 * @returns the exit code
 */
export async function topicsCommand<C>(
  agent: Agent<C>,
  argv: readonly string[],
  version: string,
  { env, stdout, stderr }: TopicsCommandIo,
): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    stdout(help(agent.name));
    return 0;
  }
  try {
    const { action, replicas, updateConfig, json, settings } = options(argv);
    const outcome = loadConfig<C>(agent, { argv: settings, env, version });
    if (outcome.kind !== 'run') {
      stdout(`${outcome.text}\n`);
      return 0;
    }
    const { config } = outcome;
    const agents = [configured(() => topicsOf(agent, config))];
    const clientId = `kafnus-${agent.name}-topics`;
    const report = await runTopics({ action, agents, config, clientId, replicas, updateConfig, asAgent: true });
    stdout(json ? topicsJson(report) : topicsText(report));
    return report.ok ? 0 : 1;
  } catch (error) {
    stderr(`topics: ${messageOf(error)}\n`);
    return error instanceof ConfigurationError || error instanceof UsageError ? 2 : 1;
  }
}

function options(argv: readonly string[]): {
  readonly action: TopicAction;
  readonly replicas: number | undefined;
  readonly updateConfig: boolean;
  readonly json: boolean;
  readonly settings: string[];
} {
  const [name, ...rest] = argv;
  const action = topicActions.find((one) => one === name);
  if (action === undefined) {
    const what = name === undefined ? 'what to do is missing' : `unknown action ${shown(name)}`;
    throw new UsageError(`${what}: topics plan, topics apply or topics check`);
  }
  const settings: string[] = [];
  let json = false;
  let updateConfig = false;
  let replicas: number | undefined;
  for (let index = 0; index < rest.length; index += 1) {
    const argument = rest[index] ?? '';
    if (argument === '--json') json = true;
    else if (argument === '--update-config') updateConfig = true;
    else if (argument === '--replicas') replicas = instances(rest[(index += 1)] ?? '');
    else if (argument.startsWith('--replicas=')) replicas = instances(argument.slice('--replicas='.length));
    else settings.push(argument);
  }
  if (updateConfig && action !== 'apply') throw new UsageError('--update-config is for topics apply');
  return { action, replicas, updateConfig, json, settings };
}

function instances(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new UsageError(`--replicas must be a whole number, not ${shown(text)}`);
}

/** What an agent's `configure` throws is a mistake of the settings. */
function configured<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw error instanceof ConfigurationError ? error : new ConfigurationError(messageOf(error));
  }
}

/** Asks the cluster what a topic keeps. */
import { loadConfig, runTopics, topicSettings } from '@kafnus/agent-runtime';
import { messageOf } from '../error-text.js';
import { keepingOf, type Keeping } from './keeping.js';

/**
 * Looks as `kafnus topics plan` does, at an agent of this topic alone.
 * @param env the settings of the connection, as agents have them
 * @returns unknown, with the reason, where the user may not know or the cluster does not tell: a replay goes on without
 */
export async function readKeeping(env: Readonly<Record<string, string>>, topic: string): Promise<Keeping> {
  const outcome = loadConfig({ name: 'cli', settings: {} }, { argv: [], env });
  if (outcome.kind !== 'run') throw new Error('no configuration was read');
  const { config } = outcome;
  const agent = {
    agent: 'replay',
    inputTopic: topic,
    deadLetterTopic: topic,
    changelog: undefined,
    readsDeadLetters: false,
    ...topicSettings(config),
  };
  try {
    const { view } = await runTopics({
      action: 'plan',
      agents: [agent],
      config,
      clientId: `kafnus-cli-${process.pid}`,
      updateConfig: false,
      asAgent: false,
    });
    const found = view.topics.get(topic);
    if (found?.kind !== 'there') return { kind: 'unknown', reason: 'the topic cannot be looked up' };
    return found.config.kind === 'known' ? keepingOf(found.config.values) : found.config;
  } catch (error) {
    return { kind: 'unknown', reason: messageOf(error) };
  }
}

/** Asks the cluster for the retention of a topic. */
import { loadConfig, topicSettings } from '@kafnus/agent-runtime';
import { messageOf, runTopics } from '@kafnus/kafka-admin';
import { retentionOf, type Retention } from './retention.js';

/**
 * Describes the topic as `kafnus topics plan` does for an agent that has no other topic.
 * @param env the connection settings, as agents have them
 * @returns kind `unknown` with the reason when the user has no right to describe the topic or the
 * cluster does not answer: a replay continues without it
 */
export async function readRetention(env: Readonly<Record<string, string>>, topic: string): Promise<Retention> {
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
    if (found?.kind !== 'there') return { kind: 'unknown', reason: 'the topic cannot be described' };
    return found.config.kind === 'known' ? retentionOf(found.config.values) : found.config;
  } catch (error) {
    return { kind: 'unknown', reason: messageOf(error) };
  }
}

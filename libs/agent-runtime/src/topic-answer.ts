import type { TopicAdmin, TopicSpec, TopicState } from './session.js';

/** The answer to a lookup. A session never rejects; if it does, that is no answer. */
export async function topicAnswer(
  session: Pick<TopicAdmin, 'ensureTopic'>,
  name: string,
  spec: TopicSpec | null,
  timeoutMs?: number,
): Promise<TopicState> {
  try {
    return await session.ensureTopic(name, spec, timeoutMs);
  } catch (thrown) {
    return { kind: 'unavailable', error: thrown instanceof Error ? thrown : new Error(String(thrown)) };
  }
}

/** What a tool asks of a cluster besides reading and writing. */
import { RdKafka } from '@confluentinc/kafka-javascript';
import { call, type KafkaAddress } from '@kafnus/agent-testkit';
import { messageOf } from '../error-text.js';

const ANSWER_MS = 10_000;

/** The topics whose names begin with `prefix`, sorted; those of Kafka itself are left out. */
export async function topicsWith(address: KafkaAddress, prefix: string): Promise<string[]> {
  return withAdmin(address, async (admin) => {
    const topics = await call<string[]>((done) => admin.listTopics({ timeout: ANSWER_MS }, done));
    return topics.filter((topic) => topic.startsWith(prefix) && !topic.startsWith('__')).sort();
  });
}

/** Deletes topics and consumer groups. @throws Error naming those that are left, and why */
export async function deleteAll(
  address: KafkaAddress,
  topics: readonly string[],
  groups: readonly string[],
): Promise<void> {
  await withAdmin(address, async (admin) => {
    const left: string[] = [];
    const attempt = async (name: string, deletion: Promise<unknown>): Promise<void> => {
      await deletion.catch((error: unknown) => left.push(`${name} (${messageOf(error)})`));
    };
    for (const topic of topics) {
      await attempt(
        topic,
        call<void>((done) => admin.deleteTopic(topic, ANSWER_MS, (error) => done(error, undefined))),
      );
    }
    for (const group of groups) {
      const deletion = call<RdKafka.DeleteGroupsResult[]>((done) =>
        admin.deleteGroups([group], { timeout: ANSWER_MS }, done),
      );
      await attempt(
        `group ${group}`,
        deletion.then(([result]) => (result?.error ? Promise.reject(new Error(result.error.message)) : undefined)),
      );
    }
    if (left.length > 0) throw new Error(`not deleted: ${left.join(', ')}`);
  });
}

async function withAdmin<T>(address: KafkaAddress, work: (admin: RdKafka.IAdminClient) => Promise<T>): Promise<T> {
  const settings = typeof address === 'string' ? { 'bootstrap.servers': address } : address;
  const admin = RdKafka.AdminClient.create({ log_level: 2, ...settings });
  try {
    return await work(admin);
  } finally {
    admin.disconnect();
  }
}

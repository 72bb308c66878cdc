/** Lists and deletes topics, and describes consumer groups. */
import { RdKafka } from '@confluentinc/kafka-javascript';
import { asKafkaError, call, messageOf, type GroupAnswer } from '@kafnus/kafka-admin';
import type { KafkaAddress } from '@kafnus/local-stack';
import { answerTimeoutMs, clientSettings } from './offset-ranges.js';

/** The topics whose names begin with `prefix`, sorted, without internal ones. */
export async function topicsWith(address: KafkaAddress, prefix: string): Promise<string[]> {
  return withAdmin(address, async (admin) => {
    const topics = await call<string[]>((done) => admin.listTopics({ timeout: answerTimeoutMs }, done));
    return topics.filter((topic) => topic.startsWith(prefix) && !topic.startsWith('__')).sort();
  });
}

/** Deletes topics and consumer groups. @throws Error naming those that were not deleted, and why */
export async function deleteAll(
  address: KafkaAddress,
  topics: readonly string[],
  groups: readonly string[],
): Promise<void> {
  await withAdmin(address, async (admin) => {
    const failed: string[] = [];
    const attempt = async (name: string, deletion: Promise<unknown>): Promise<void> => {
      await deletion.catch((error: unknown) => failed.push(`${name} (${messageOf(error)})`));
    };
    for (const topic of topics) {
      await attempt(
        topic,
        call<void>((done) => admin.deleteTopic(topic, answerTimeoutMs, (error) => done(error, undefined))),
      );
    }
    for (const group of groups) {
      const deletion = call<RdKafka.DeleteGroupsResult[]>((done) =>
        admin.deleteGroups([group], { timeout: answerTimeoutMs }, done),
      );
      await attempt(
        `group ${group}`,
        deletion.then(([result]) => (result?.error ? Promise.reject(new Error(result.error.message)) : undefined)),
      );
    }
    if (failed.length > 0) throw new Error(`not deleted: ${failed.join(', ')}`);
  });
}

/**
 * Describes consumer groups with the Kafka client, for logins that only the client supports
 * (Kerberos). Other callers use `describeGroups` of the runtime, because the call of the client
 * crashes the process when a coordinator answers with an error.
 */
export async function groupsByClient(
  address: KafkaAddress,
  groups: readonly string[],
): Promise<Map<string, GroupAnswer>> {
  return withAdmin(address, async (admin) => {
    const answers = new Map<string, GroupAnswer>();
    for (const group of groups) answers.set(group, await groupByClient(admin, group));
    return answers;
  });
}

async function groupByClient(admin: RdKafka.IAdminClient, group: string): Promise<GroupAnswer> {
  const { ERR_GROUP_AUTHORIZATION_FAILED: forbidden, ERR_GROUP_ID_NOT_FOUND: unknown } = RdKafka.CODES.ERRORS;
  const refused = ({ code, message }: { readonly code: number; readonly message: string }): GroupAnswer => ({
    kind: 'refused',
    transient: false,
    message:
      code === forbidden ? `not authorised: grant the user Describe on group ${group}` : `group ${group}: ${message}`,
  });
  // This call needs the same right. Without the right it fails, and does not crash.
  const refusal = await call<unknown>((done) =>
    admin.listConsumerGroupOffsets([{ groupId: group }], { timeout: answerTimeoutMs }, done),
  ).then(() => undefined, asKafkaError);
  if (refusal !== undefined) return refused(refusal);

  const { groups } = await call<RdKafka.GroupDescriptions>((done) =>
    admin.describeGroups([group], { timeout: answerTimeoutMs }, done),
  );
  const [found] = groups;
  const { DEAD, EMPTY, STABLE, UNKNOWN } = RdKafka.ConsumerGroupStates;
  if (found === undefined || found.state === DEAD || found.error?.code === unknown) return { kind: 'absent' };
  if (found.error) return refused(found.error);
  const states = new Map<RdKafka.ConsumerGroupStates, 'empty' | 'stable' | 'unknown'>([
    [EMPTY, 'empty'],
    [STABLE, 'stable'],
    [UNKNOWN, 'unknown'],
  ]);
  return {
    kind: 'group',
    state: states.get(found.state) ?? 'rebalancing',
    members: found.members.map(({ memberId, clientId, clientHost, assignment }) => {
      const partitions = new Map<string, number[]>();
      for (const { topic, partition } of assignment.topicPartitions) {
        partitions.set(topic, [...(partitions.get(topic) ?? []), partition]);
      }
      return { id: memberId, client: clientId, host: clientHost.replace(/^\//, ''), partitions };
    }),
  };
}

async function withAdmin<T>(address: KafkaAddress, work: (admin: RdKafka.IAdminClient) => Promise<T>): Promise<T> {
  const admin = RdKafka.AdminClient.create(clientSettings(address));
  try {
    return await work(admin);
  } finally {
    admin.disconnect();
  }
}

/** What a tool asks of a cluster besides reading and writing. */
import { RdKafka } from '@confluentinc/kafka-javascript';
import { asKafkaError, type GroupAnswer } from '@kafnus/agent-runtime';
import { call, type KafkaAddress } from '@kafnus/local-stack';
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

/**
 * State and members of consumer groups as the Kafka client tells them: for logins that it alone can do (Kerberos). Everybody
 * else is told by `describeGroups` of the runtime, for the client's call ends the process when a coordinator answers with an error.
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
  // It takes the same right, and survives to say that it is missing.
  const refusal = await call<unknown>((done) =>
    admin.listConsumerGroupOffsets([{ groupId: group }], { timeout: ANSWER_MS }, done),
  ).then(() => undefined, asKafkaError);
  if (refusal !== undefined) return refused(refusal);

  const { groups } = await call<RdKafka.GroupDescriptions>((done) =>
    admin.describeGroups([group], { timeout: ANSWER_MS }, done),
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
  const settings = typeof address === 'string' ? { 'bootstrap.servers': address } : address;
  const admin = RdKafka.AdminClient.create({ log_level: 2, ...settings });
  try {
    return await work(admin);
  } finally {
    admin.disconnect();
  }
}

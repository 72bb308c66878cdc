/**
 * `topics plan`, `apply` and `check` on a cluster of three brokers, run by `kafnus` and by the
 * agents: the planned topics are created, the agents run on them, and each kind of misconfiguration
 * is found.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { addAcls, withKafka, type Acl } from '@kafnus/agent-testkit';
import {
  AgentProcess,
  createTopics,
  endOffsets,
  partitionLeaders,
  produceAll,
  readAll,
  startLocalKafka,
  type LocalKafka,
  type TopicPlan,
} from '@kafnus/local-stack';
import { eventually } from '../faults/harness/eventually.js';
import { notification } from './notifications.js';
import { agentTopics, kafnusTopics, type TopicsRun } from './topics-run.js';

jest.setTimeout(300_000);

const password = 'wonderland';

withKafka(describe)('topics', () => {
  let kafka: LocalKafka;
  const processes: AgentProcess[] = [];

  beforeAll(async () => {
    kafka = await startLocalKafka({ brokers: 3, users: { alice: password }, authorizer: true });
  });

  afterAll(async () => {
    await Promise.all(processes.map((each) => each.kill()));
    await kafka?.stop();
  });

  /** Runs as a superuser. Each test has a separate prefix. */
  const kafnus = (prefix: string, ...args: string[]): Promise<TopicsRun> =>
    kafnusTopics({ KAFNUS_KAFKA_BROKERS: kafka.internalServers, KAFNUS_TOPIC_PREFIX: prefix }, ...args);

  /** Reads with Kafka's own tool, not with the client under test. */
  const described = (topics: string): Promise<string> =>
    kafka.tool('org.apache.kafka.tools.TopicCommand', '--describe', '--topic', topics);
  const set = (topic: string, setting: string): Promise<string> =>
    kafka.tool('kafka.admin.ConfigCommand', '--alter', '--topic', topic, '--add-config', setting);

  test('are planned, created, used by the agents, and checked', async () => {
    const env = {
      KAFNUS_KAFKA_BROKERS: kafka.internalServers,
      KAFNUS_TOPIC_PREFIX: 'whole_',
      KAFNUS_GROUP_ID: 'whole',
    };
    const plan = await agentTopics('lastdata', env, 'plan');
    expect(plan).toMatchObject({ code: 0, stderr: '', steps: [], findings: [] });
    expect(plan.topics.map(({ name, found }) => [name, found.state])).toEqual([
      ['whole_raw_lastdata', 'missing'],
      ['whole_raw_errors', 'missing'],
      ['whole-newest-changelog', 'missing'],
    ]);
    const missing = await agentTopics('lastdata', env, 'check');
    expect(missing.code).toBe(1);
    expect(missing.brief).toContain('error topic-missing whole_raw_lastdata');

    const applied = await agentTopics('lastdata', env, 'apply');
    expect(applied).toMatchObject({ code: 0, stderr: '', findings: [] });
    expect(applied.steps.map(({ did, topic }) => `${did} ${topic}`)).toEqual(
      plan.topics.map(({ name }) => `created ${name}`),
    );
    const seen = await described('whole.*');
    expect(seen).toMatch(
      /Topic: whole-newest-changelog\s.*PartitionCount: 4\s+ReplicationFactor: 3\s+Configs: .*cleanup\.policy=compact,/,
    );
    for (const setting of ['segment.bytes=104857600', 'min.insync.replicas=2', 'retention.ms=2419200000'])
      expect(seen).toContain(setting);

    const agent = new AgentProcess({ agent: 'lastdata', brokers: kafka.internalServers, env });
    processes.push(agent);
    await agent.ready();
    const good = notification('Sensor:1', 1, { service: 'whole' });
    const bad = { ...notification('Sensor:2', 2), value: 'no JSON' };
    await produceAll(
      kafka.internalServers,
      [good, bad].map((record) => ({ topic: 'whole_raw_lastdata', ...record })),
    );
    await agent.until('both records are decided', ({ ledger }) => ledger.read === 2);
    expect(await readAll(kafka.internalServers, 'whole_whole_lastdata')).toHaveLength(1);
    expect(await readAll(kafka.internalServers, 'whole_raw_errors')).toHaveLength(1);

    const living = await agentTopics('lastdata', env, 'check', '--replicas', '5');
    expect(living).toMatchObject({
      code: 0,
      brief: ['warning partitions-few whole_raw_lastdata'],
      members: { whole: 1 },
    });
    const outputs = await kafnusTopics(env, 'check', '--agent', 'lastdata');
    expect(outputs).toMatchObject({ code: 0, findings: [] });
    expect(outputs.outputs).toMatchObject([{ name: 'whole_whole_lastdata', agent: 'lastdata' }]);
    await agent.stop();
  });

  test('concurrent and repeated apply for all agents: each topic is created once, and nothing else changes', async () => {
    const runs = await Promise.all([1, 2, 3].map(() => kafnus('many_', 'apply', '--partitions', '6')));
    for (const { code, findings, stderr } of runs)
      expect({ code, findings, stderr }).toEqual({ code: 0, findings: [], stderr: '' });
    const created = runs.flatMap(({ steps }) => steps.map(({ topic }) => topic)).sort();
    expect(created).toEqual(
      // The changelog is named after the group, without the prefix.
      ['many_raw_errors', 'many_raw_errors_dead', 'many_raw_historic', 'many_raw_lastdata', 'many_raw_mutable'].concat(
        'ngsi-agent-lastdata-newest-changelog',
      ),
    );
    const again = await kafnus('many_', 'apply', '--partitions', '8', '--update-config');
    expect(again).toMatchObject({ code: 0, steps: [] });
    expect(again.brief).toContain('note partitions-differ many_raw_historic');
    const found = (run: TopicsRun | undefined): unknown => run?.topics.map((topic) => topic.found);
    expect(found(again)).toEqual(found(runs[0]));
  });

  test('misconfigurations are found; only harmful ones are changed, and only with --update-config', async () => {
    const env = { KAFNUS_KAFKA_BROKERS: kafka.internalServers, KAFNUS_TOPIC_PREFIX: 'bad_', KAFNUS_GROUP_ID: 'bad' };
    const on = (...args: string[]): Promise<TopicsRun> => kafnusTopics(env, ...args, '--agent', 'lastdata');
    const bad = (topic: string, config: Record<string, string>, partitions = 4): TopicPlan => ({
      topic,
      partitions,
      config,
    });
    await createTopics(kafka.internalServers, [
      bad('bad_raw_lastdata', { 'retention.ms': '3600000', 'cleanup.policy': 'compact', 'min.insync.replicas': '1' }),
      bad('bad_raw_errors', {
        'max.message.bytes': '2000',
        'message.timestamp.before.max.ms': '1000',
        'message.timestamp.after.max.ms': '1000',
        'retention.ms': '86400000',
        // A harmless choice of the operator: it is not reported and not changed.
        'compression.type': 'lz4',
      }),
      bad('bad-newest-changelog', {
        'cleanup.policy': 'compact,delete',
        'min.insync.replicas': '3',
        'segment.bytes': '1073741824',
        'unclean.leader.election.enable': 'true',
      }),
      bad('bad_city_lastdata', { 'cleanup.policy': 'compact', 'retention.ms': '3600000' }, 2),
    ]);

    const damage = await on('check');
    expect(damage.code).toBe(1);
    expect([...damage.brief].sort()).toEqual([
      'error cleanup-policy bad-newest-changelog',
      'error cleanup-policy bad_city_lastdata',
      'error cleanup-policy bad_raw_lastdata',
      'error message-size bad_raw_errors',
      'error timestamp-limit bad_raw_errors',
      'error timestamp-limit bad_raw_errors',
      'note partitions-differ bad_city_lastdata',
      'note segments-large bad-newest-changelog',
      'warning min-isr-high bad-newest-changelog',
      'warning min-isr-low bad_raw_lastdata',
      'warning retention-short bad_raw_lastdata',
      'warning unclean-election bad-newest-changelog',
    ]);

    const careful = await on('apply');
    expect(careful).toMatchObject({ code: 1, steps: [], findings: damage.findings });
    const repaired = await on('apply', '--update-config');
    expect(repaired).toMatchObject({ code: 0, brief: ['note partitions-differ bad_city_lastdata'] });
    expect(await on('check')).toMatchObject({ code: 0, brief: ['note partitions-differ bad_city_lastdata'] });
    const kept = await described('bad_raw_errors');
    expect(kept).toContain('compression.type=lz4');
    // The raw topic has its retention of a week again, and dead letters are kept longer.
    expect(kept).toContain('retention.ms=2419200000');
  });

  test('partitions are never changed: the finding names the command for it', async () => {
    const env = {
      KAFNUS_KAFKA_BROKERS: kafka.internalServers,
      KAFNUS_TOPIC_PREFIX: 'grown_',
      KAFNUS_GROUP_ID: 'grown',
    };
    await createTopics(kafka.internalServers, [
      { topic: 'grown_raw_lastdata', partitions: 8 },
      {
        topic: 'grown-newest-changelog',
        partitions: 4,
        config: { 'cleanup.policy': 'compact', 'segment.bytes': '1048576' },
      },
    ]);
    const mismatch = await agentTopics('lastdata', env, 'apply', '--update-config');
    expect(mismatch).toMatchObject({
      code: 1,
      brief: ['error not-copartitioned grown-newest-changelog', 'note partitions-differ grown_raw_lastdata'],
    });
    expect(mismatch.findings[0]?.message).toContain(
      'kafnus state repartition --group grown --input-topic grown_raw_lastdata --partitions 8',
    );
    expect(await endOffsets(kafka.internalServers, 'grown-newest-changelog')).toHaveLength(4);

    // A missing changelog gets the partition count of its input.
    const other = { ...env, KAFNUS_GROUP_ID: 'other' };
    expect(await agentTopics('lastdata', other, 'apply')).toMatchObject({
      code: 0,
      brief: ['note partitions-differ grown_raw_lastdata'],
    });
    expect(await endOffsets(kafka.internalServers, 'other-newest-changelog')).toHaveLength(8);
  });

  test('a lost broker, and partitions without another replica', async () => {
    const on = (...args: string[]): Promise<TopicsRun> => kafnus('down_', ...args, '--agent', 'historic');
    await createTopics(kafka.internalServers, [
      { topic: 'down_raw_errors', partitions: 4, config: { 'retention.ms': '-1' } },
      // One partition on each of the brokers.
      { topic: 'down_raw_historic', partitions: 3, replicationFactor: 1, config: { 'min.insync.replicas': '1' } },
    ]);
    const note = 'note partitions-differ down_raw_historic';
    expect(await on('check')).toMatchObject({ code: 1, brief: ['error replication-low down_raw_historic', note] });
    const third = kafka.brokers[2];
    await third?.kill();
    try {
      await eventually(async () => {
        const leaders = await partitionLeaders(kafka.internalServers, 'down_raw_historic');
        expect([...leaders.values()]).toContain(-1);
      });
      const { code, stderr, brief, findings } = await on('check');
      expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
      expect(brief).toEqual([
        'error replication-low down_raw_historic',
        'error partition-offline down_raw_historic',
        'warning partition-behind down_raw_errors',
        note,
      ]);
      expect(findings[1]?.message).toMatch(/^partition \d without a leader/);
    } finally {
      await third?.start();
    }
  });

  test('rejections are reported for each topic, and the other topics are created', async () => {
    const { code, steps, brief, stdout } = await kafnus('wide_', 'apply', '--agent', 'historic', '--replication', '4');
    expect({ code, brief }).toEqual({
      code: 1,
      brief: ['error topic-missing wide_raw_historic', 'warning topic-missing wide_raw_errors'],
    });
    expect(steps.map(({ did, topic }) => `${did} ${topic}`)).toEqual([
      'refused wide_raw_historic',
      'refused wide_raw_errors',
    ]);
    expect(stdout).toMatch(/replication factor/i);
  });

  test('without rights: each missing right is named, and each granted one helps', async () => {
    const env = {
      KAFNUS_KAFKA_BROKERS: kafka.bootstrapServers,
      KAFNUS_KAFKA_SECURITY_PROTOCOL: 'sasl_plaintext',
      KAFNUS_KAFKA_SASL_MECHANISM: 'PLAIN',
      KAFNUS_KAFKA_SASL_USERNAME: 'alice',
      KAFNUS_KAFKA_SASL_PASSWORD: password,
      KAFNUS_TOPIC_PREFIX: 'alice_',
      KAFNUS_GROUP_ID: 'alice',
    };
    const grant = async (...operations: Acl['operation'][]): Promise<void> => {
      const topic = { principal: 'User:alice', resource: 'topic', name: 'alice', pattern: 'prefixed' } as const;
      await addAcls(
        kafka.internalServers.split(',')[0] ?? '',
        operations.map((operation) => ({ ...topic, operation })),
      );
    };
    const topics = ['alice_raw_lastdata', 'alice_raw_errors', 'alice-newest-changelog'];
    const apply = (...args: string[]): Promise<TopicsRun> => agentTopics('lastdata', env, 'apply', ...args);

    const nothing = await apply();
    expect(nothing.code).toBe(1);
    expect([...nothing.brief].sort()).toEqual(topics.map((topic) => `error topic-hidden ${topic}`).sort());
    for (const { did, topic, detail } of nothing.steps) {
      expect(did).toBe('refused');
      expect(detail).toBe(`not authorised: grant the user Describe, and Create if it is missing, on topic ${topic}`);
    }
    expect(nothing.steps.map(({ topic }) => topic)).toEqual(topics);

    await grant('Describe');
    const seen = await apply();
    expect(seen.code).toBe(1);
    expect(seen.steps.map(({ detail }) => detail)).toEqual([
      'not authorised: grant the user Create on topic alice_raw_lastdata, or on the cluster',
      'not authorised: grant the user Create on topic alice_raw_errors, or on the cluster',
      'not created: it must have as many partitions as alice_raw_lastdata, which is not there',
    ]);

    await grant('Create');
    const created = await apply();
    expect(created.code).toBe(1);
    expect(created.steps.map(({ did, topic }) => `${did} ${topic}`)).toEqual(topics.map((topic) => `created ${topic}`));
    expect([...created.brief].sort()).toEqual([
      'error right-missing alice-newest-changelog',
      'error right-missing alice_raw_errors',
      'error right-missing alice_raw_lastdata',
      'warning config-unread alice-newest-changelog',
      'warning config-unread alice_raw_errors',
      'warning config-unread alice_raw_lastdata',
    ]);

    await grant('Read', 'Write', 'DescribeConfigs');
    // Without DescribeConfigs on the cluster the default replication factor is unknown, so
    // min.insync.replicas is left to the brokers.
    expect(await agentTopics('lastdata', env, 'check')).toMatchObject({ code: 0, findings: [] });
    await set('alice_raw_lastdata', 'retention.ms=1000');
    const refused = await apply('--update-config');
    expect(refused).toMatchObject({ code: 1, brief: ['warning retention-short alice_raw_lastdata'] });
    expect(refused.steps).toEqual([
      {
        topic: 'alice_raw_lastdata',
        did: 'refused',
        detail: 'retention.ms=604800000: not authorised: grant the user AlterConfigs on topic alice_raw_lastdata',
      },
    ]);
    await grant('AlterConfigs');
    expect(await apply('--update-config')).toMatchObject({ code: 0, findings: [] });

    const wrong = await agentTopics('lastdata', { ...env, KAFNUS_KAFKA_SASL_PASSWORD: 'hearts' }, 'check');
    expect(wrong).toMatchObject({ code: 1, stdout: '' });
    expect(wrong.stderr).toContain('Invalid username or password');
    expect(wrong.stderr).not.toContain('hearts');
  });

  test('text output: a table, the reasons, and what to do', async () => {
    const env = { KAFNUS_KAFKA_BROKERS: kafka.internalServers, KAFNUS_TOPIC_PREFIX: 'read_' };
    const { code, stdout } = await kafnusTopics(env, 'plan', '--agent', 'historic', '--text');
    expect(code).toBe(0);
    expect(stdout.split('\n')).toEqual([
      `topics plan: ${kafka.internalServers}, 3 brokers`,
      '',
      'topic              for                       partitions  replicas  now',
      'read_raw_historic  input of historic         4           3         would be created',
      'read_raw_errors    dead letters of historic  4           3         would be created',
      '',
      'read_raw_historic:',
      '  cleanup.policy=delete              every version counts: compaction would keep only the newest of a key',
      '  retention.ms=604800000             a week for an agent that stands still to find everything',
      '  message.timestamp.type=CreateTime  the time of publication is what recvtime tells',
      '  min.insync.replicas=2              what is acknowledged survives a lost broker',
      '',
      'read_raw_errors:',
      '  cleanup.policy=delete    every refusal counts',
      '  retention.ms=2419200000  four weeks to find a refusal, mend its cause and send it again',
      '  min.insync.replicas=2    what is acknowledged survives a lost broker',
      '',
      'topics apply would create 2 of 2 topics',
      '',
    ]);
    await createTopics(kafka.internalServers, [
      { topic: 'read_raw_historic', partitions: 4, config: { 'cleanup.policy': 'compact' } },
      { topic: 'read_raw_errors', partitions: 4 },
    ]);
    const check = await kafnusTopics(env, 'check', '--agent', 'historic', '--text');
    expect(check.code).toBe(1);
    expect(check.stdout.split('\n').slice(3)).toEqual([
      'read_raw_historic  input of historic         4           3         1 error',
      'read_raw_errors    dead letters of historic  4           3         fits',
      '',
      'error    read_raw_historic  cleanup-policy',
      '         cleanup.policy is compact: of the records of one key only the newest is kept, the others are lost.',
      '         To do: set it: topics apply --update-config.',
      '         Or:    kafka-configs.sh --bootstrap-server ... --alter --topic read_raw_historic --add-config cleanup.policy=delete',
      '',
      '1 error',
      '',
    ]);
  });
});

/** Topics that change under a running agent, and topics that cannot be written. */
import { expect, test } from '@jest/globals';
import { createTopics, endOffsets, readAll, type LocalKafka } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { expectExactlyOnce, metric } from './harness/expectations.js';
import { withFleet } from './harness/fleet.js';
import { describeFaults } from './harness/suite.js';
import { Workload } from './harness/workload.js';

function topicCommand(kafka: LocalKafka, ...args: string[]): Promise<string> {
  return kafka.tool('org.apache.kafka.tools.TopicCommand', ...args);
}

describeFaults('topics', {}, (kafka) => {
  test.concurrent('added partitions of the input are consumed', async () => {
    const workload = new Workload({ agent: 'historic' });
    await withFleet(kafka(), workload, {}, async (fleet) => {
      const agent = fleet.start('pod-0');
      await fleet.produce(2000);
      await agent.ready();
      await topicCommand(kafka(), '--alter', '--topic', workload.inputTopic, '--partitions', '6');
      workload.grow(6);
      await fleet.produce(2000);
      await agent.until('assigned six partitions', ({ assignment }) => assignment.length === 6);
      await fleet.finished();
      expect(Math.min(...workload.ends)).toBeGreaterThan(0);
      await expectExactlyOnce(workload, kafka(), { alive: [agent], complete: true });
    });
  });

  test.concurrent(
    'added partitions of the input of lastdata stop the agent: its state would be in the wrong partitions',
    async () => {
      const workload = new Workload({ agent: 'lastdata' });
      await withFleet(kafka(), workload, {}, async (fleet) => {
        const agent = fleet.start('pod-0');
        await fleet.produce(1000);
        await fleet.finished();
        await topicCommand(kafka(), '--alter', '--topic', workload.inputTopic, '--partitions', '6');
        expect(await agent.ended).toEqual({ code: 2, signal: null });
        await agent.untilLogged(
          `${workload.changelogTopic} has 4 partitions, but its input ${workload.inputTopic} has 6`,
        );
        await agent.untilLogged('"Adding partitions\\" in docs/operations.md');
        // All earlier outputs are complete.
        workload.grow(6);
        await expectExactlyOnce(workload, kafka());
      });
    },
  );

  test.concurrent('a deleted output topic is created again', async () => {
    const workload = new Workload({ agent: 'historic' });
    await withFleet(kafka(), workload, {}, async (fleet) => {
      const agent = fleet.start('pod-0');
      await fleet.produce(2000);
      await fleet.finished();
      await topicCommand(kafka(), '--delete', '--topic', workload.outputTopic('city'));
      // The operator deleted the earlier outputs. All later ones are expected.
      workload.forget('city');
      await fleet.produce(2000);
      await fleet.finished();
      await expectExactlyOnce(workload, kafka(), { alive: [agent], complete: true });
      expect(await metric(agent, 'kafnus_topics_created_total')).toBe(4);
    });
  });
});

const login = {
  KAFNUS_KAFKA_SECURITY_PROTOCOL: 'sasl_plaintext',
  KAFNUS_KAFKA_SASL_MECHANISM: 'PLAIN',
  KAFNUS_KAFKA_SASL_USERNAME: 'agent',
  KAFNUS_KAFKA_SASL_PASSWORD: 'agent-password',
};

describeFaults('a cluster with ACLs', { users: { agent: 'agent-password' }, authorizer: true }, (kafka) => {
  const committedRecords = async (topic: string): Promise<number> =>
    (await readAll(kafka().internalServers, topic)).length;
  const allow = (...args: string[]): Promise<string> =>
    kafka().tool('org.apache.kafka.tools.AclCommand', '--add', '--allow-principal', 'User:agent', ...args);

  // The brokers do not say what is allowed where they are to create topics: the transaction is
  // refused, and nobody says by which topic.
  const unasked = 'that exists, where lookups do not tell,';

  test.concurrent.each(['that exists', 'that is to be created', unasked])(
    'a tenant whose topic %s is forbidden does not stop the others',
    async (how) => {
      const workload = new Workload({ agent: 'historic' });
      workload.forbidden.add('harbour');
      const forbidden = workload.outputTopic('harbour');
      const operations = ['Read', 'Write', 'Describe', 'Create'].flatMap((operation) => ['--operation', operation]);
      await allow('--group', workload.group, '--operation', 'Read', '--operation', 'Describe');
      await allow('--transactional-id', `${workload.group}-pod-0`, '--operation', 'Write', '--operation', 'Describe');
      for (const topic of [workload.inputTopic, workload.deadLetterTopic, workload.outputTopic('city')]) {
        await allow('--topic', topic, ...operations);
      }
      if (how !== 'that is to be created') {
        await allow('--topic', forbidden, '--operation', 'Describe');
        await createTopics(kafka().internalServers, [{ topic: forbidden, partitions: 4 }]);
      }
      const env = { ...login };
      if (how === unasked) {
        const others = [workload.deadLetterTopic, workload.outputTopic('city')];
        await createTopics(
          kafka().internalServers,
          others.map((topic) => ({ topic, partitions: 4 })),
        );
        Object.assign(env, { KAFNUS_KAFKA_PRODUCER: '{"allow.auto.create.topics":true}' });
      }
      await withFleet(kafka(), workload, env, async (fleet) => {
        await fleet.produce(2000);
        const agent = fleet.start('pod-0');
        await fleet.finished(60_000);
        await fleet.produce(1000);
        await fleet.finished(60_000);
        // An operator must act, so it is logged as an error.
        expect(agent.log).toMatch(new RegExp(`"level":"error".*"topic":"${forbidden}".*authori`));
        expect((await agent.health()).ledger.tenants['harbour']?.rejected['topic-unwritable']).toBeGreaterThan(100);
        await expectExactlyOnce(workload, kafka(), { alive: [agent], complete: true });
        if (how !== 'that is to be created')
          expect(await endOffsets(kafka().internalServers, forbidden)).toEqual([0, 0, 0, 0]);
      });
    },
  );

  test.concurrent(
    'a right that is taken away while the agent runs costs that tenant its rows, and no other',
    async () => {
      const workload = new Workload({ agent: 'historic' });
      const topic = workload.outputTopic('harbour');
      await allow('--group', workload.group, '--operation', 'Read', '--operation', 'Describe');
      await allow('--transactional-id', `${workload.group}-pod-0`, '--operation', 'Write', '--operation', 'Describe');
      await allow('--topic', `${workload.name}_`, '--resource-pattern-type', 'prefixed', '--operation', 'All');
      await withFleet(kafka(), workload, login, async (fleet) => {
        await fleet.produce(2000);
        const agent = fleet.start('pod-0');
        await fleet.finished();
        const before = await committedRecords(topic);
        const aborted = await metric(agent, 'kafnus_transactions_aborted_total');
        await kafka().tool(
          'org.apache.kafka.tools.AclCommand',
          '--add',
          '--deny-principal',
          'User:agent',
          '--topic',
          topic,
          '--operation',
          'Write',
        );
        // ACL changes reach the brokers asynchronously.
        await sleep(1000);
        workload.forbidden.add('harbour');
        await fleet.produce(1000);
        await fleet.finished(60_000);
        workload.forbidden.clear();
        expect(await metric(agent, 'kafnus_transactions_aborted_total')).toBeGreaterThan(aborted);
        expect((await agent.health()).ledger.tenants['harbour']?.rejected['topic-unwritable']).toBeGreaterThan(100);
        expect(await committedRecords(topic)).toBe(before);
        await expectExactlyOnce(workload, kafka(), { alive: [agent], complete: true });
      });
    },
  );
});

/**
 * Adding partitions to the input of lastdata on a real Kafka with real processes: "Adding
 * partitions" in docs/operations.md step by step, and deviations from it. Each test checks that an
 * older version of an entity is skipped, and a newer one is emitted once and in order.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { withKafka } from '@kafnus/agent-testkit';
import {
  AgentProcess,
  createTopics,
  endOffsets,
  produceAll,
  readAll,
  startLocalKafka,
  type LocalKafka,
  type ProcessEnd,
} from '@kafnus/local-stack';
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { notification, reading } from './notifications.js';

jest.setTimeout(300_000);

const cli = join(import.meta.dirname, '..', '..', 'tools', 'cli', 'dist');
const before = 4;
const after = 8;
const entities = Array.from({ length: 60 }, (_, index) => `Sensor:${index}`);

interface Ran extends ProcessEnd {
  readonly stdout: string;
  readonly stderr: string;
}

function run(...args: string[]): Promise<Ran> {
  const child = spawn(process.execPath, args);
  child.stdin.end();
  return outcomeOf(child);
}

async function outcomeOf(child: ChildProcessWithoutNullStreams): Promise<Ran> {
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += String(chunk)));
  child.stderr.on('data', (chunk: Buffer) => (stderr += String(chunk)));
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code, signal, stdout, stderr };
}

/** Runs `kafnus state repartition`, and `action` (JavaScript) after a step. */
function moveWith(
  address: string,
  { group, input }: { group: string; input: string },
  step: string,
  action: string,
): string {
  const compiled = (...path: string[]): string => JSON.stringify(pathToFileURL(join(cli, ...path)).href);
  return `
    import { readSync, writeSync } from 'node:fs';
    import { connection } from ${compiled('kafka', 'connection.js')};
    import { repartition } from ${compiled('state', 'repartition.js')};
    await repartition({
      kafka: connection({}, ${JSON.stringify(address)}),
      group: ${JSON.stringify(group)},
      inputTopic: ${JSON.stringify(input)},
      partitions: ${after},
      placement: undefined,
      producer: {},
      dryRun: false,
      onProgress: () => undefined,
      interrupted: () => false,
      onStep: (step) => { if (step === ${JSON.stringify(step)}) { ${action} } },
    });`;
}

/**
 * Runs `kafnus state repartition` and suspends it after everything is written and before the
 * commit.
 */
async function heldMove(address: string, scene: { group: string; input: string }): Promise<() => Promise<Ran>> {
  // Blocks until standard input is closed.
  const program = moveWith(address, scene, 'written', `writeSync(1, 'held'); readSync(0, Buffer.alloc(1));`);
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program]);
  const ended = outcomeOf(child);
  await Promise.race([once(child.stdout, 'data'), ended]);
  return () => {
    child.stdin.end();
    return ended;
  };
}

withKafka(describe)('growing the input of lastdata', () => {
  let kafka: LocalKafka;
  const processes: AgentProcess[] = [];

  beforeAll(async () => {
    kafka = await startLocalKafka();
  });

  afterAll(async () => {
    await Promise.all(processes.map((process) => process.kill()));
    await kafka.stop();
  });

  /**
   * A tenant with separate topics and a separate group, whose publisher has its own keys and
   * partitioner.
   */
  class Scene {
    readonly group: string;
    readonly input: string;
    readonly changelog: string;

    private constructor(
      readonly service: string,
      private readonly publisher: { readonly partitioner?: string; readonly keyOf?: (entity: string) => string },
    ) {
      this.group = `agents-of-${service}`;
      this.input = `raw_${service}`;
      this.changelog = `${this.group}-newest-changelog`;
    }

    /** Publishes and processes version 100 of every entity, and stops the agent. */
    static async begin(service: string, publisher: Scene['publisher'] = {}): Promise<Scene> {
      const scene = new Scene(service, publisher);
      await createTopics(kafka.bootstrapServers, [{ topic: scene.input, partitions: before }]);
      await scene.publish(100);
      await scene.drain();
      return scene;
    }

    /** Version `sequence` of these entities. A greater sequence has a later TimeInstant. */
    async publish(sequence: number, among: readonly string[] = entities): Promise<void> {
      const { partitioner = 'murmur2_random', keyOf = (entity: string) => entity } = this.publisher;
      await produceAll(
        kafka.bootstrapServers,
        among.map((entity) => ({
          topic: this.input,
          ...notification(entity, sequence, { service: this.service }),
          key: keyOf(entity),
        })),
        { settings: { partitioner } },
      );
    }

    /**
     * @param consumer librdkafka properties of the agent's consumer; by default a short session
     * timeout
     */
    start(consumer: Readonly<Record<string, unknown>> = { 'session.timeout.ms': 6000 }): AgentProcess {
      const env = {
        KAFNUS_GROUP_ID: this.group,
        KAFNUS_INPUT_TOPIC: this.input,
        // The tool is about records that are decided where their publisher puts them.
        KAFNUS_REKEY: 'off',
        KAFNUS_LOG_LEVEL: 'info',
        KAFNUS_KAFKA_CONSUMER: JSON.stringify(consumer),
      };
      const agent = new AgentProcess({ agent: 'lastdata', brokers: kafka.bootstrapServers, env });
      processes.push(agent);
      return agent;
    }

    /** Runs the agent until its lag is 0. @returns the number of versions skipped as stale */
    async drain(): Promise<number> {
      const agent = this.start();
      await agent.ready();
      const { ledger } = await agent.until('at the end', ({ assignment }) => assignment.every(({ lag }) => lag === 0));
      await agent.stop();
      return ledger.skipped['stale'] ?? 0;
    }

    state(action: string, ...args: string[]): Promise<Ran> {
      const where = ['--brokers', kafka.bootstrapServers, '--group', this.group, '--input-topic', this.input];
      return run(join(cli, 'main.js'), 'state', action, ...where, ...args);
    }

    alter(partitions: number): Promise<string> {
      const args = ['--alter', '--topic', this.input, '--partitions', String(partitions)];
      return kafka.tool('org.apache.kafka.tools.TopicCommand', ...args);
    }

    ends(topic: string): Promise<number[]> {
      return endOffsets(kafka.bootstrapServers, topic);
    }

    /** The emitted versions of each entity, in order. */
    async emitted(): Promise<Map<string, number[]>> {
      const rows = new Map<string, number[]>();
      for (const { key, value } of await readAll(kafka.bootstrapServers, `${this.service}_lastdata`)) {
        const { entityid } = (JSON.parse(String(key)) as { payload: { entityid: string } }).payload;
        rows.set(entityid, [...(rows.get(entityid) ?? []), reading(value)]);
      }
      return rows;
    }

    /** Expects that the agent refuses to start and names the command that helps. */
    async expectRefused(): Promise<void> {
      const agent = this.start();
      expect(await agent.ended).toEqual({ code: 2, signal: null });
      await agent.untilLogged('\\"Adding partitions\\" in docs/operations.md');
      await agent.untilLogged(
        `\\"kafnus state repartition --group ${this.group} --input-topic ${this.input} --partitions ${after}\\"`,
      );
    }

    /** Versions below 100 are skipped, version 200 is emitted, and then 150 is skipped. */
    async expectNewestWins(): Promise<void> {
      for (const sequence of [50, 200, 150]) await this.publish(sequence);
      expect(await this.drain()).toBe(2 * entities.length);
      expect(await this.emitted()).toEqual(new Map(entities.map((entity) => [entity, [100, 200]])));
    }
  }

  test('by the tool: only with lag 0 and no running agent; a second run changes nothing', async () => {
    const scene = await Scene.begin('planned');
    const grow = (...args: string[]): Promise<Ran> =>
      scene.state('repartition', '--partitions', String(after), ...args);

    const agent = scene.start();
    await agent.ready();
    const alive = await grow();
    expect(alive).toMatchObject({ code: 1, stdout: '' });
    expect(alive.stderr).toMatch(/the group agents-of-planned has 1 living members: kafnus-lastdata-.*scale it to 0/);
    expect(await scene.state('check')).toMatchObject({ code: 0, stderr: '' });
    await agent.stop();

    await scene.publish(90, entities.slice(0, 3));
    const unread = await grow();
    expect(unread).toMatchObject({ code: 1, stdout: '' });
    expect(unread.stderr).toMatch(/raw_planned holds about 3 records that the group .* has not read: stop publishing/);
    await scene.drain();

    const rehearsal = await grow('--dry-run', '--json');
    const plan: unknown = JSON.parse(rehearsal.stdout);
    expect(plan).toMatchObject({ entities: entities.length, placement: 'murmur2', dryRun: true, unread: 0 });
    expect(await scene.ends(scene.input)).toHaveLength(before);
    expect(await scene.ends(scene.changelog)).toHaveLength(before);

    const done = await grow('--json');
    expect(done).toMatchObject({ code: 0, stderr: '' });
    const report = JSON.parse(done.stdout) as { written: number; deleted: number };
    expect(report).toEqual({ ...(plan as object), dryRun: false });
    expect(report.written).toBeGreaterThan(entities.length / 4);
    expect(report.deleted).toBe(report.written);
    expect(await scene.state('check')).toMatchObject({ code: 0, stderr: '' });

    const ends = await scene.ends(scene.changelog);
    expect(ends).toHaveLength(after);
    const again = await grow();
    expect(again).toMatchObject({ code: 0, stderr: '' });
    expect(again.stdout).toContain('nothing to do');
    expect(await scene.ends(scene.changelog)).toEqual(ends);

    const less = await scene.state('repartition', '--partitions', '7');
    expect(less).toMatchObject({ code: 1, stdout: '' });
    expect(less.stderr).toContain('--partitions 7 is less than the 8 that raw_planned has');

    await scene.expectNewestWins();
    // The check is meaningful: moved entities had records in all new partitions.
    expect(Math.min(...(await scene.ends(scene.input)).slice(before))).toBeGreaterThan(0);
  });

  test('a running agent with the KIP-848 group protocol is detected as well', async () => {
    const scene = await Scene.begin('consumers');
    const agent = scene.start({ 'group.protocol': 'consumer' });
    await agent.ready();
    const grow = ['repartition', '--partitions', String(after)] as const;
    const alive = await scene.state(...grow);
    expect(alive).toMatchObject({ code: 1, stdout: '' });
    expect(alive.stderr).toMatch(/the group agents-of-consumers has 1 living members: kafnus-lastdata-/);
    await agent.stop();
    expect(await scene.state(...grow)).toMatchObject({ code: 0, stderr: '' });
    await scene.expectNewestWins();
  });

  test.each(['changelog-grown', 'written', 'committed', 'done'])(
    'killed when the step was %s, the same command goes on',
    async (step) => {
      const scene = await Scene.begin(`killed_${step.replace('-', '_')}`);
      const program = moveWith(kafka.bootstrapServers, scene, step, `process.kill(process.pid, 'SIGKILL');`);
      const killed = await run('--input-type=module', '--eval', program);
      expect(killed).toMatchObject({ code: null, signal: 'SIGKILL' });
      expect(await scene.ends(scene.changelog)).toHaveLength(after);
      expect(await scene.ends(scene.input)).toHaveLength(step === 'done' ? after : before);
      if (step === 'changelog-grown' || step === 'committed') await scene.expectRefused();

      expect(await scene.state('repartition', '--partitions', String(after))).toMatchObject({ code: 0, stderr: '' });
      expect(await scene.state('check')).toMatchObject({ code: 0, stderr: '' });
      await scene.expectNewestWins();
    },
  );

  test('an agent that is started during the move waits until it has ended', async () => {
    const scene = await Scene.begin('early');
    // With these partition counts the agent would start.
    await scene.alter(after);
    const release = await heldMove(kafka.bootstrapServers, scene);
    expect(await scene.ends(scene.changelog)).toHaveLength(after);
    const agent = scene.start();
    await agent.until('assigned its partitions', ({ assignment }) => assignment.length === after);
    await expect(agent.ready(5000)).rejects.toThrow('not ready within 5000 ms');
    expect(await release()).toMatchObject({ code: 0, stderr: '' });
    await agent.ready();
    await agent.stop();
    await scene.expectNewestWins();
  });

  test('records that are published during the move are reported', async () => {
    const scene = await Scene.begin('restless');
    const release = await heldMove(kafka.bootstrapServers, scene);
    await scene.publish(110);
    const { code, stderr } = await release();
    expect(code).toBe(1);
    expect(stderr).toMatch(/meanwhile 60 records were published to the old ones. Do not start the agent/);
  });

  test('without the tool the agent refuses to start, and the command that it names helps', async () => {
    const scene = await Scene.begin('unplanned');
    await scene.alter(after);
    await scene.expectRefused();
    const check = await scene.state('check');
    expect(check.code).toBe(1);
    expect(check.stderr).toContain(`${scene.changelog} has 4 partitions, but raw_unplanned has 8`);
    expect(await scene.state('repartition', '--partitions', String(after))).toMatchObject({ code: 0, stderr: '' });
    await scene.expectNewestWins();
  });

  test('publishers that partition as librdkafka does by default are recognised', async () => {
    const scene = await Scene.begin('librdkafka', { partitioner: 'consistent_random' });
    const wrong = await scene.state('repartition', '--partitions', String(after), '--partitioner', 'murmur2');
    expect(wrong).toMatchObject({ code: 1, stdout: '' });
    expect(wrong.stderr).toMatch(
      /\d+ of 60 entities are not in the partition that murmur2 of their id gives, such as '\["librdkafka"/,
    );
    const done = await scene.state('repartition', '--partitions', String(after), '--json');
    expect(JSON.parse(done.stdout)).toMatchObject({ placement: 'crc32', unexplained: { crc32: 0 } });
    await scene.expectNewestWins();
  });

  test('records not keyed by the entity id: every partition gets all of the state', async () => {
    const scene = await Scene.begin('subscriptions', {
      keyOf: (entity) => `subscription ${entity.length}${entity.at(-1)}`,
    });
    const refused = await scene.state('repartition', '--partitions', String(after));
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(/have other keys than the entity id.*--everywhere/);
    expect(await scene.ends(scene.changelog)).toHaveLength(before);
    const grow = ['repartition', '--partitions', String(after), '--everywhere'] as const;
    expect(await scene.state(...grow)).toMatchObject({ code: 0, stderr: '' });
    expect(await scene.state('check', '--everywhere')).toMatchObject({ code: 0, stderr: '' });
    const ends = await scene.ends(scene.changelog);
    expect((await scene.state(...grow)).stdout).toContain('nothing to do');
    expect(await scene.ends(scene.changelog)).toEqual(ends);
    await scene.expectNewestWins();
  });

  test('the input has more partitions already, and unread records before and after: the newest version is emitted last', async () => {
    const scene = await Scene.begin('accident');
    const late = entities.slice(0, 20);
    // Unread records in the old partitions; then newer versions in the new partitions, and older
    // ones for some entities.
    for (const sequence of [110, 120]) await scene.publish(sequence);
    await scene.publish(140, late);
    await scene.alter(after);
    await scene.publish(130, entities.slice(20));
    await scene.publish(125, late);
    await scene.expectRefused();
    const refused = await scene.state('repartition');
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(/holds about \d+ records.*"If the input has more partitions already"/);

    const first = await scene.state('repartition', '--everywhere');
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toContain('continue with "If the input has more partitions already"');
    await scene.drain();
    expect(await scene.state('repartition', '--everywhere')).toMatchObject({ code: 0, stderr: '' });
    const args = ['--group', scene.group, '--topic', scene.input, '--reset-offsets', '--to-earliest', '--execute'];
    await kafka.tool('org.apache.kafka.tools.consumer.group.ConsumerGroupCommand', ...args);
    await scene.drain();
    const emitted = await scene.emitted();
    expect(new Map([...emitted].map(([entity, versions]) => [entity, versions.at(-1)]))).toEqual(
      new Map(entities.map((entity) => [entity, late.includes(entity) ? 140 : 130])),
    );

    // Removes the copies that are no longer needed.
    expect(await scene.state('repartition', '--partitioner', 'murmur2')).toMatchObject({ code: 0, stderr: '' });
    expect(await scene.state('check')).toMatchObject({ code: 0, stderr: '' });
  });

  test('a group without a changelog is not a group of lastdata', async () => {
    await createTopics(kafka.bootstrapServers, [{ topic: 'raw_nobody', partitions: 4 }]);
    const where = ['--brokers', kafka.bootstrapServers, '--group', 'nobody', '--input-topic', 'raw_nobody'];
    const { code, stderr } = await run(join(cli, 'main.js'), 'state', 'repartition', ...where, '--partitions', '8');
    expect(code).toBe(1);
    expect(stderr).toContain(`the topic 'nobody-newest-changelog' does not exist: correct --group or --input-topic`);
    expect(await endOffsets(kafka.bootstrapServers, 'raw_nobody')).toHaveLength(4);
  });
});

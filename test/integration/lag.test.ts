/**
 * `kafnus lag` and `kafnus top` on a real Kafka with real agents: each injected fault must be
 * reported with its code.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { withKafka } from '@kafnus/agent-testkit';
import {
  AgentProcess,
  createTopics,
  endOffsets,
  produceAll,
  startLocalKafka,
  type LocalKafka,
  type RecordToWrite,
} from '@kafnus/local-stack';
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { eventually } from '../faults/harness/eventually.js';
import { notification } from './notifications.js';

jest.setTimeout(180_000);

const cli = join(import.meta.dirname, '..', '..', 'tools', 'cli', 'dist');

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Finding {
  readonly code: string;
  readonly problem: string;
}

interface Look {
  readonly seconds: number | null;
  readonly agents: readonly {
    readonly agent: string;
    readonly state: string;
    readonly lag: number;
    readonly oldestAgeMs: number | null;
    readonly members: readonly { readonly client: string; readonly partitions: readonly number[] }[];
    readonly rate: { readonly in: number; readonly out: number } | null;
  }[];
  readonly instances: readonly object[];
  readonly findings: readonly Finding[];
}

async function outcomeOf(child: ChildProcessWithoutNullStreams): Promise<Ran> {
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += String(chunk)));
  child.stderr.on('data', (chunk: Buffer) => (stderr += String(chunk)));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

withKafka(describe)('kafnus lag', () => {
  let kafka: LocalKafka;
  const agents: AgentProcess[] = [];
  const children: ChildProcessWithoutNullStreams[] = [];

  beforeAll(async () => {
    // Some records are older than the default retention.
    kafka = await startLocalKafka({ properties: { 'log.retention.ms': '-1' } });
  });

  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(agents.map((agent) => agent.kill()));
    await kafka.stop();
  });

  function spawned(...args: readonly string[]): ChildProcessWithoutNullStreams {
    const child = spawn(process.execPath, args);
    children.push(child);
    return child;
  }

  function command(name: string, topic: string, ...more: readonly string[]): ChildProcessWithoutNullStreams {
    const which = ['--agent', 'historic', '--group', `${topic}-group`, '--input-topic', topic];
    return spawned(join(cli, 'main.js'), name, '--brokers', kafka.bootstrapServers, ...which, ...more);
  }

  /** Runs `kafnus lag --json --check` once. */
  async function look(topic: string, ...more: readonly string[]): Promise<Look & { readonly code: number | null }> {
    const { code, stdout, stderr } = await outcomeOf(command('lag', topic, '--json', '--check', ...more));
    expect(stderr).toBe('');
    return { code, ...(JSON.parse(stdout) as Look) };
  }

  const codes = ({ findings }: Look): string[] => findings.map(({ code }) => code).sort();

  function start(topic: string, instance: string, more: Readonly<Record<string, string>> = {}): AgentProcess {
    const env = { KAFNUS_INPUT_TOPIC: topic, KAFNUS_GROUP_ID: `${topic}-group`, KAFNUS_INSTANCE_ID: instance, ...more };
    const agent = new AgentProcess({ agent: 'historic', brokers: kafka.bootstrapServers, env });
    agents.push(agent);
    return agent;
  }

  function* records(topic: string, count: number, more: Partial<RecordToWrite> = {}): Generator<RecordToWrite> {
    for (let index = 0; index < count; index += 1) {
      yield { topic, ...notification(`Sensor:${index % 500}`, index), timestamp: Date.now() - 60_000, ...more };
    }
  }

  const digested = (agent: AgentProcess, read: number): Promise<unknown> =>
    agent.until(`through ${read}`, ({ ledger, lag }) => ledger.read >= read && lag === 0);

  test('a group that never existed, a running one, a hanging one, and a stopped one', async () => {
    const topic = 'raw_life';
    await createTopics(kafka.bootstrapServers, [{ topic, partitions: 4 }]);
    expect(await look(topic, '--interval', '500ms')).toMatchObject({ code: 0, findings: [] });

    await produceAll(kafka.bootstrapServers, records(topic, 1000));
    const unread = await look(topic, '--interval', '500ms', '--max-age', '30s');
    expect({ code: unread.code, codes: codes(unread) }).toEqual({ code: 1, codes: ['max-age', 'no-group'] });
    expect(unread.agents[0]).toMatchObject({ state: 'none', lag: 1000 });
    expect(unread.agents[0]?.oldestAgeMs).toBeGreaterThanOrEqual(60_000);

    const agent = start(topic, 'pod-0');
    await digested(agent, 1000);
    const well = await look(topic, '--interval', '500ms');
    expect(well).toMatchObject({ code: 0, findings: [], agents: [{ state: 'stable', lag: 0, oldestAgeMs: null }] });
    expect(well.agents[0]?.members).toMatchObject([{ client: 'kafnus-historic-pod-0', partitions: [0, 1, 2, 3] }]);

    // Its session lasts for ten more seconds, during which it is still a member.
    agent.pause();
    await produceAll(kafka.bootstrapServers, records(topic, 400));
    const hanging = await look(topic, '--interval', '1s');
    expect({ code: hanging.code, codes: codes(hanging) }).toEqual({ code: 1, codes: ['stuck'] });
    expect(hanging.findings[0]?.problem).toContain('kafnus-historic-pod-0');
    expect(hanging.findings[0]?.problem).toContain('400 records are unprocessed there');
    agent.resume();
    await digested(agent, 1400);
    await agent.stop();

    await produceAll(kafka.bootstrapServers, records(topic, 10));
    const gone = await look(topic, '--interval', '500ms', '--max-lag', '9');
    expect({ code: gone.code, codes: codes(gone) }).toEqual({ code: 1, codes: ['max-lag', 'no-members'] });
    const { stdout, code } = await outcomeOf(command('lag', topic, '--interval', '500ms'));
    expect(code).toBe(0);
    expect(stdout).toContain('the group raw_life-group has no member, and 10 records are unprocessed');
    expect(stdout).toContain('-> start the agent historic');
  });

  test.each([
    ['a classic group', 'raw_classic', '{}'],
    ['a group of KIP-848', 'raw_kip848', '{"group.protocol":"consumer"}'],
  ])('the members of %s, each with its partitions', async (_, topic, consumer) => {
    await createTopics(kafka.bootstrapServers, [{ topic, partitions: 6 }]);
    const trio = ['a', 'b', 'c'].map((name) => start(topic, name, { KAFNUS_KAFKA_CONSUMER: consumer }));
    await Promise.all(trio.map((agent) => agent.until('its share', ({ assignment }) => assignment.length === 2)));
    await eventually(async () => {
      const seen = await look(topic, '--interval', '500ms');
      expect(seen).toMatchObject({ code: 0, findings: [], agents: [{ state: 'stable' }] });
      const members = seen.agents[0]?.members ?? [];
      expect(members.map(({ client }) => client).sort()).toEqual(
        ['a', 'b', 'c'].map((name) => `kafnus-historic-${name}`),
      );
      expect(members.map(({ partitions }) => partitions.length)).toEqual([2, 2, 2]);
      expect(members.flatMap(({ partitions }) => partitions).sort()).toEqual([0, 1, 2, 3, 4, 5]);
    });
    await Promise.all(trio.map((agent) => agent.stop()));
    const gone = await look(topic, '--interval', '500ms');
    expect(gone.agents).toMatchObject([{ state: 'empty', members: [] }]);
  });

  test('more members than partitions, records without key in one partition, and rejects by reason', async () => {
    const topic = 'raw_uneven';
    await createTopics(kafka.bootstrapServers, [{ topic, partitions: 2 }]);
    const trio = ['a', 'b', 'c'].map((name) => start(topic, name));
    const running = trio.map((agent) => agent.until('in the group', ({ state }) => state === 'running'));
    await Promise.all(running);
    await produceAll(kafka.bootstrapServers, records(topic, 200, { key: null, partition: 1 }));
    const addresses = trio.map((agent) => /"http":"([^"]+)"/.exec(agent.log)?.[1] ?? '');

    const looking = command('lag', topic, '--json', '--check', '--interval', '6s', '--health', addresses.join(','));
    const ended = outcomeOf(looking);
    // Publishes between the two samples of the command. Before the first one, there would be no
    // rate and no reject to report.
    const isFlowing = async function* (): AsyncGenerator<void> {
      while (looking.exitCode === null) {
        await produceAll(kafka.bootstrapServers, records(topic, 100, { key: null, partition: 1, value: 'no json' }));
        yield;
      }
    };
    for await (const _ of isFlowing()) if (looking.exitCode !== null) break;
    const { code, stdout } = await ended;
    const seen = JSON.parse(stdout) as Look;
    expect(code).toBe(1);
    expect(codes(seen)).toEqual(expect.arrayContaining(['hot-partition', 'idle-members', 'rejects', 'unkeyed']));
    const problemOf = (wanted: string): string => seen.findings.find((one) => one.code === wanted)?.problem ?? '';
    expect(problemOf('idle-members')).toBe('3 members share 2 partitions of raw_uneven: 1 is idle');
    expect(problemOf('hot-partition')).toMatch(
      /^100 % of the records go to one of 2 partitions, raw_uneven-1; 100 of its newest 100 have no key$/,
    );
    expect(problemOf('rejects')).toMatch(/rejected [\d,]+ records in .* not-json/);
    expect(seen.instances).toHaveLength(3);
    await Promise.all(trio.map((agent) => agent.stop()));
  });

  test('an open transaction of a publisher; transaction markers alone are not lag', async () => {
    const topic = 'raw_transacted';
    await createTopics(kafka.bootstrapServers, [{ topic, partitions: 1 }]);
    const agent = start(topic, 'pod-0');
    const publisher = spawned('--input-type=module', '--eval', openTransaction(kafka.bootstrapServers, topic));
    const end = outcomeOf(publisher);
    await Promise.race([once(publisher.stdout, 'data'), end]);
    await agent.ready();
    const open = await look(topic, '--interval', '1s');
    expect({ code: open.code, codes: codes(open) }).toEqual({ code: 1, codes: ['open-transaction'] });
    expect(open.findings[0]?.problem).toMatch(
      /^raw_transacted-0: a transaction of a producer has been open for .* at offset 0/,
    );

    publisher.stdin.end();
    expect(await end).toMatchObject({ code: 0 });
    await agent.until('through one', ({ ledger }) => ledger.read === 1);
    // The end offset includes the transaction marker; the committed offset does not.
    expect(await endOffsets(kafka.bootstrapServers, topic)).toEqual([2]);
    expect(await look(topic, '--interval', '500ms')).toMatchObject({ code: 0, findings: [], agents: [{ lag: 0 }] });
    await agent.stop();
  });

  test('an instance that does not answer, another service at its address, and a missing topic', async () => {
    const server = createServer((_, response) => response.end('{"hello":"world"}')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const seen = await look('raw_nowhere', '--interval', '500ms', '--health', `127.0.0.1:${port},127.0.0.1:1`);
    server.close();
    expect({ code: seen.code, codes: codes(seen) }).toEqual({ code: 1, codes: ['silent', 'silent', 'topic-missing'] });
    expect(seen.findings.map(({ problem }) => problem).join('\n')).toContain(
      'the answer is not the status of an agent',
    );
  });

  test('kafnus top prints one sample a line, and ends cleanly', async () => {
    const topic = 'raw_top';
    await createTopics(kafka.bootstrapServers, [{ topic, partitions: 2 }]);
    const agent = start(topic, 'pod-0');
    await agent.ready();
    const top = command('top', topic, '--json', '--interval', '500ms');
    const ended = outcomeOf(top);
    await once(top.stdout, 'data');
    await produceAll(kafka.bootstrapServers, records(topic, 500));
    let flowed = false;
    for await (const chunk of top.stdout) {
      flowed ||= String(chunk)
        .split('\n')
        .some((line) => /"rate":\{"in":[1-9]/.test(line));
      if (flowed) break;
    }
    top.kill('SIGINT');
    expect(await ended).toMatchObject({ code: 0, stderr: '' });
    const once_ = await outcomeOf(command('top', topic, '--once', '--interval', '500ms'));
    expect(once_).toMatchObject({ code: 0, stderr: '' });
    expect(once_.stdout).toMatch(/^AGENT .*\nhistoric .* stable /);
    await agent.stop();
  });
});

/** A publisher that keeps a transaction open until its standard input ends. */
function openTransaction(brokers: string, topic: string): string {
  const client = JSON.stringify(pathToFileURL(join(cli, 'replay', 'dead-letter-consumer.js')).href);
  const source = { topic, partition: 0, key: null, value: null, headers: [], timestamp: 1_780_000_000_000 };
  return `
    import { readSync, writeSync } from 'node:fs';
    import { DeadLetterConsumer } from ${client};
    const consumer = await DeadLetterConsumer.open(${JSON.stringify(brokers)}, ${JSON.stringify(topic)}, 'publisher');
    const producer = await consumer.createProducer({});
    await producer.send([{ ...${JSON.stringify(source)}, key: Buffer.from('k'), value: Buffer.from('no json') }], [], () => { writeSync(1, 'open'); readSync(0, Buffer.alloc(1)); });
    process.exit(0);`;
}

/**
 * Records in any partition with any key: each entity is decided in its home partition, in order,
 * and an old version never follows a newer one.
 */
import { describe, expect, test } from '@jest/globals';
import { PartitionStore, type InputRecord, type OutputRecord, type Step } from '@kafnus/agent-runtime';
import fc from 'fast-check';
import { crc32 } from 'node:zlib';
import { agent } from '../src/agent.js';
import { settings, type Config } from '../src/config.js';
import { fold, type Seen } from './newest-fold.js';

const defaults = Object.fromEntries(
  Object.entries(settings).map(([key, setting]) => [key, setting.default]),
) as unknown as Config;
const { decide, rekeys } = agent.configure(defaults);

interface Version {
  readonly entity: string;
  /** Minutes since a fixed time. */
  readonly minute: number;
  readonly alteration?: 'entityCreate' | 'entityUpdate' | 'entityDelete';
}

function timeOf(minute: number): string {
  return new Date(Date.UTC(2026, 0, 1) + minute * 60_000).toISOString();
}

function elementOf({ entity, minute, alteration }: Version, sequence: string): object {
  return {
    id: entity,
    type: 'T',
    TimeInstant: { type: 'DateTime', value: timeOf(minute) },
    sequence: { type: 'Text', value: sequence },
    ...(alteration && { alterationType: { type: 'Text', value: alteration } }),
  };
}

/** The partitions of the input with the state of each, and all that was emitted. */
class Input {
  readonly logs: InputRecord[][];
  readonly stores: PartitionStore[];
  readonly emitted: OutputRecord[] = [];
  readonly steps: Step[] = [];
  readonly #next: number[];

  constructor(readonly partitions: number) {
    this.logs = Array.from({ length: partitions }, () => []);
    this.stores = this.logs.map(() => new PartitionStore());
    this.#next = this.logs.map(() => 0);
  }

  write(partition: number, record: Omit<InputRecord, 'topic' | 'partition' | 'offset'>): void {
    const log = this.logs[partition];
    log?.push({ ...record, topic: 'raw_lastdata', partition, offset: log.length });
  }

  publish(partition: number, key: string | null, data: readonly object[], headers: InputRecord['headers'] = []): void {
    const value = Buffer.from(JSON.stringify({ subscriptionId: 's', data }));
    this.write(partition, { timestamp: 0, key: key === null ? null : Buffer.from(key), value, headers });
  }

  /** Decides the next record of a partition. @returns false when there is none */
  advance(partition: number, inputPartitions: number | null = this.partitions): boolean {
    const at = this.#next[partition] ?? 0;
    const record = this.logs[partition]?.[at];
    const store = this.stores[partition];
    if (record === undefined || store === undefined) return false;
    this.#next[partition] = at + 1;
    const step = decide(record, store, inputPartitions ?? undefined);
    this.steps.push(step);
    if (step.kind === 'reject') return true;
    for (const put of step.puts ?? []) store.put(put);
    if (step.kind === 'skip') return true;
    for (const output of step.outputs) {
      if (output.topic !== 'raw_lastdata') this.emitted.push(output);
      else {
        const { key, value, headers, timestamp } = output;
        const bytes = headers.map((header) =>
          Object.fromEntries(Object.entries(header).map(([name, text]) => [name, Buffer.from(text)])),
        );
        this.write(output.partition ?? -1, {
          timestamp,
          key: Buffer.from(String(key)),
          value: value === null ? null : Buffer.from(value),
          headers: bytes,
        });
      }
    }
    return true;
  }

  drain(): void {
    while (this.logs.map((_, partition) => this.advance(partition)).includes(true));
  }
}

function idOf(output: Pick<OutputRecord, 'key'>): string {
  return (JSON.parse(String(output.key)) as { payload: { entityid: string } }).payload.entityid;
}

function rowOf(output: OutputRecord): Seen {
  const row = output.value === null ? null : (JSON.parse(String(output.value)) as { payload: { sequence: string } });
  return { name: idOf(output), sequence: row?.payload.sequence ?? null };
}

const version = fc.record<Version>(
  {
    entity: fc.constantFrom('a', 'b', 'c', 'ñ', '"'),
    minute: fc.integer({ min: 0, max: 5 }),
    alteration: fc.constantFrom('entityCreate', 'entityUpdate', 'entityDelete'),
  },
  { requiredKeys: ['entity', 'minute'] },
);
const action = fc.oneof(
  fc.record({
    partition: fc.nat({ max: 3 }),
    key: fc.constantFrom(null, '', 'a', 'other'),
    versions: fc.array(version, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ advance: fc.nat({ max: 3 }) }),
);

test('lastdata re-keys by default', () => expect(rekeys).toBe(true));

test('each entity is decided in its home partition, once, whatever keys the records have', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      const input = new Input(4);
      const published = new Map<string, Version>();
      actions.forEach((step, index) => {
        if ('advance' in step) input.advance(step.advance);
        else {
          step.versions.forEach((one, place) => published.set(`${index}.${place}`, one));
          input.publish(
            step.partition,
            step.key,
            step.versions.map((one, place) => elementOf(one, `${index}.${place}`)),
          );
        }
      });
      input.drain();

      // What each home has read of its own entities, in order.
      const home = input.logs.flatMap((log, partition) =>
        log.flatMap(({ value }) => {
          const { data } = JSON.parse(String(value)) as { data: { id: string; sequence: { value: string } }[] };
          return data
            .filter(({ id }) => crc32(id) % 4 === partition)
            .map(({ id, sequence }) => {
              const found = published.get(sequence.value);
              if (found?.entity !== id) throw new Error(`an entity that nobody published: ${id}`);
              const { minute: instant, alteration = null } = found;
              return { name: id, instant, alteration, sequence: sequence.value };
            });
        }),
      );
      expect(home.map(({ sequence }) => sequence).sort()).toEqual([...published.keys()].sort());
      for (const entity of new Set(home.map(({ name }) => name))) {
        const emitted = input.emitted.map(rowOf).filter(({ name }) => name === entity);
        expect(emitted).toEqual(fold(home.filter(({ name }) => name === entity)).emitted);
      }
    }),
    { numRuns: 300 },
  );
});

describe('a stray record', () => {
  const home = crc32('e') % 4;
  const stray = (home + 1) % 4;

  test('keeps its bytes, headers and timestamp, and tells where it came from', () => {
    const input = new Input(4);
    const value = Buffer.from(
      `{"subscriptionId":"s", "data":[{"id":"e","type":"T","n":{"type":"Number","value":12345678901234567890}}]}`,
    );
    const headers = [{ 'Fiware-Service': Buffer.from('city') }, { other: Buffer.from([0xff]) }];
    input.write(stray, { timestamp: 1234, key: null, value, headers });
    input.advance(stray);
    expect(input.steps).toMatchObject([{ kind: 'emit', tenant: 'city', rekeyed: 1 }]);
    const [record] = input.logs[home] ?? [];
    expect(record).toMatchObject({ timestamp: 1234, key: Buffer.from('e'), value });
    expect(record?.headers.slice(0, 2)).toEqual(headers);
    expect(JSON.parse(String(record?.headers[2]?.['kafnus-rekeyed']))).toEqual({
      topic: 'raw_lastdata',
      partition: stray,
      offset: 0,
      group: '',
      hops: 1,
    });
    input.drain();
    expect(input.emitted).toHaveLength(1);
  });

  test('without headers is still one whose message names the tenant', () => {
    const input = new Input(4);
    const message = {
      headers: { 'fiware-service': 'harbour' },
      data: [
        { id: 'e', type: 'T' },
        { id: 'e', type: 'U' },
      ],
    };
    input.write(stray, { timestamp: 0, key: null, value: Buffer.from(JSON.stringify(message)), headers: [] });
    input.drain();
    expect(input.steps.map(({ tenant }) => tenant)).toEqual(['harbour', 'harbour', 'harbour']);
    expect(input.emitted.map(({ topic }) => topic)).toEqual(['harbour_lastdata', 'harbour_lastdata']);
    // For an older agent as well, and for a replay of its dead letter.
    expect(input.logs[home]?.map(({ headers }) => Object.keys(headers[0] ?? {}))).toEqual([
      ['fiware-service'],
      ['fiware-service'],
    ]);
  });

  test('brings the newest TimeInstant that is known where it was found', () => {
    const input = new Input(4);
    // Before the upgrade, the entity was decided in the partition of its producer.
    input.publish(stray, 'e', [elementOf({ entity: 'e', minute: 9 }, 'old')]);
    input.advance(stray, null);
    expect(input.emitted.map(rowOf)).toEqual([{ name: 'e', sequence: 'old' }]);
    input.publish(stray, 'e', [elementOf({ entity: 'e', minute: 5 }, 'late')]);
    input.drain();
    // A producer that keys as Orion does writes to the home from now on: it knows.
    input.publish(home, 'e', [elementOf({ entity: 'e', minute: 7 }, 'late as well')]);
    input.drain();
    expect(input.emitted).toHaveLength(1);
    input.publish(home, 'e', [elementOf({ entity: 'e', minute: 10 }, 'new')]);
    input.drain();
    expect(input.emitted.map(rowOf).at(-1)).toEqual({ name: 'e', sequence: 'new' });
  });

  test('is decided where it is after three hops', () => {
    const input = new Input(4);
    const header = (hops: number): InputRecord['headers'] => [
      { 'kafnus-rekeyed': Buffer.from(JSON.stringify({ topic: 'x', partition: 0, offset: 1, group: '', hops })) },
    ];
    input.publish(stray, null, [elementOf({ entity: 'e', minute: 1 }, 'a')], header(2));
    input.publish(stray, null, [elementOf({ entity: 'e', minute: 2 }, 'b')], header(3));
    input.advance(stray);
    input.advance(stray);
    expect(input.steps).toMatchObject([{ rekeyed: 1 }, { kind: 'emit', hopsExceeded: true }]);
    expect(input.emitted).toHaveLength(1);
  });

  test.each([
    '',
    'x',
    '{}',
    '[1]',
    '{"topic":"t","partition":-1,"offset":0,"group":"","hops":0}',
    '{"topic":"t","partition":0,"offset":0,"group":"","hops":1,"newest":1e999}',
    'x'.repeat(100_000),
  ])('with a header %#.20s that is not ours is one like any other', (text) => {
    const input = new Input(4);
    input.publish(stray, null, [elementOf({ entity: 'e', minute: 1 }, 'a')], [{ 'kafnus-rekeyed': Buffer.from(text) }]);
    input.drain();
    expect(input.emitted).toHaveLength(1);
    expect(input.logs[home]).toHaveLength(1);
  });

  test('of another group is skipped: its original is read as well', () => {
    const input = new Input(4);
    const origin = { topic: 'raw_lastdata', partition: stray, offset: 0, group: 'another', hops: 1 };
    input.publish(
      home,
      'e',
      [elementOf({ entity: 'e', minute: 1 }, 'a')],
      [{ 'kafnus-rekeyed': Buffer.from(JSON.stringify(origin)) }],
    );
    input.drain();
    expect(input.steps).toEqual([{ kind: 'skip', tenant: 'default', reason: 'rekeyed-elsewhere' }]);
  });

  test('with thousands of headers is refused, before it becomes gigabytes', () => {
    const input = new Input(4);
    const headers = Array.from({ length: 90_000 }, () => ({ '': Buffer.alloc(0) }));
    const data = Array.from({ length: 7500 }, () => ({ id: 'e' }));
    input.publish(stray, null, data, headers);
    input.drain();
    expect(input.steps).toMatchObject([{ kind: 'reject', rejections: [{ code: 'header-too-long' }] }]);
    input.publish(stray, null, data, headers.slice(0, 1000));
    input.drain();
    expect(input.steps[1]).toMatchObject({ kind: 'reject', rejections: [{ code: 'output-too-large' }] });
  });

  test('that is refused is refused where it was found', () => {
    const input = new Input(4);
    input.publish(stray, null, [{ id: '' }]);
    input.drain();
    expect(input.steps).toMatchObject([{ kind: 'reject', rejections: [{ code: 'entity-id-invalid' }] }]);
  });
});

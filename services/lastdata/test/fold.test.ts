/**
 * Compares lastdata with a fold that shares no code with it, for any input in any order, and with
 * crashes and aborted transactions at any place.
 */
import { expect, test } from '@jest/globals';
import { parseChangelogValue, PartitionStore, type InputRecord, type Step } from '@kafnus/agent-runtime';
import fc from 'fast-check';
import { agent } from '../src/agent.js';
import { settings, type Config } from '../src/config.js';
import { fold, type FoldVersion, type Newest, type Seen } from './newest-fold.js';

const defaults = Object.fromEntries(
  Object.entries(settings).map(([key, setting]) => [key, setting.default]),
) as unknown as Config;
const { decide } = agent.configure(defaults);

/** One entity of a notification. */
interface Version {
  readonly entity: string;
  readonly type: string;
  /** Microseconds since the epoch; null without TimeInstant. */
  readonly instant: number | null;
  /** How the instant is written: minutes east of Greenwich, and their text. */
  readonly zone: readonly [number, string];
  /** What Orion announces. */
  readonly alteration: FoldVersion['alteration'];
}

type Action =
  | { readonly do: 'notify'; readonly versions: readonly Version[] }
  | { readonly do: 'begin commit' }
  | { readonly do: 'committed' }
  | { readonly do: 'abort' }
  | { readonly do: 'kill' };

const base = Date.UTC(2026, 0, 1) * 1000;
const second = 1_000_000;

const version = fc.record<Version>({
  entity: fc.constantFrom('a', 'b', 'a,b', '"'),
  type: fc.constantFrom('T', 'U'),
  // Few instants, so that equal ones are common; some differ by a microsecond, some by a day.
  instant: fc.option(
    fc
      .tuple(fc.integer({ min: -3, max: 3 }), fc.constantFrom(0, 1, 999, 1000))
      .map(([seconds, micros]) => base + seconds * second + micros),
    { freq: 6 },
  ),
  zone: fc.constantFrom<Version['zone']>(
    [0, 'Z'],
    [0, ''],
    [0, '-00:00'],
    [120, '+02:00'],
    [-330, '-0530'],
    [840, '+14'],
    [60, '+01:00[Europe/Madrid]'],
  ),
  alteration: fc.constantFrom('entityCreate', 'entityUpdate', 'entityDelete', 'entityDelete', null),
});

const action = fc.oneof<[fc.WeightedArbitrary<Action>, ...fc.WeightedArbitrary<Action>[]]>(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('notify'), versions: fc.array(version, { minLength: 1, maxLength: 3 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('begin commit') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('committed') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('abort') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('kill') }) },
);

function spelled(instant: number, [minutes, text]: Version['zone']): string {
  const millis = Math.floor(instant / 1000);
  const micros = String(instant - millis * 1000).padStart(3, '0');
  return `${new Date(millis + minutes * 60_000).toISOString().slice(0, -1)}${micros}${text}`;
}

function nameOf({ type, entity }: Pick<Version, 'type' | 'entity'>): string {
  return `${type}/${entity}`;
}

/** A partition with its committed data, and the processes that work on it one after another. */
class Partition {
  readonly input: (readonly Version[])[] = [];
  readonly outputs: Seen[] = [];
  readonly changelog: (readonly [Buffer, Buffer])[] = [];
  store = new PartitionStore();
  #committed = 0;
  #next = 0;
  /** The decisions since the last commit, and how many of them the current commit includes. */
  #steps: Step[] = [];
  #committing: { readonly steps: number; readonly mark: number } | undefined;

  /** Decides all available records, as the loop does. */
  run(): void {
    for (; this.#next < this.input.length; this.#next += 1) {
      const step = decide(record(this.input[this.#next] ?? [], this.#next), this.store);
      for (const put of (step.kind === 'emit' && step.puts) || []) this.store.put(put);
      this.#steps.push(step);
    }
  }

  beginCommit(): void {
    this.#committing ??= { steps: this.#steps.length, mark: this.store.mark() };
  }

  commitEnds(): void {
    if (!this.#committing) return;
    const { steps, mark } = this.#committing;
    this.#committing = undefined;
    this.#committed += steps;
    this.store.committed(mark);
    for (const step of this.#steps.splice(0, steps)) {
      if (step.kind !== 'emit') continue;
      this.outputs.push(...step.outputs.map(seen));
      this.changelog.push(...(step.puts ?? []).map(entry));
    }
  }

  abort(): void {
    this.store.rollback();
    this.#rewind();
  }

  /** Another process takes over, with the state from the changelog. */
  kill(): void {
    this.store = this.restored();
    this.#rewind();
  }

  restored(): PartitionStore {
    const store = new PartitionStore();
    for (const [key, value] of this.changelog) store.restore(key, parseChangelogValue(value) ?? null);
    return store;
  }

  #rewind(): void {
    this.#steps = [];
    this.#committing = undefined;
    this.#next = this.#committed;
  }
}

function record(versions: readonly Version[], offset: number): InputRecord {
  const data = versions.map(({ entity, type, instant, zone, alteration }, place) => ({
    id: entity,
    type,
    ...(instant === null ? {} : { TimeInstant: { type: 'DateTime', value: spelled(instant, zone) } }),
    ...(alteration === null ? {} : { alterationType: { type: 'Text', value: alteration } }),
    sequence: { type: 'Text', value: `${offset}.${place}` },
  }));
  const value = Buffer.from(JSON.stringify({ subscriptionId: 's', data }));
  return { topic: 'raw_lastdata', partition: 0, offset, timestamp: 0, key: null, value, headers: [] };
}

function seen({ key, value, headers }: Extract<Step, { kind: 'emit' }>['outputs'][number]): Seen {
  const { payload } = JSON.parse(String(key)) as { payload: { entityid: string } };
  const type = headers.flatMap((header) => Object.entries(header)).find(([name]) => name === 'entityType')?.[1];
  const row = value === null ? null : (JSON.parse(String(value)) as { payload: { sequence: string } });
  return {
    name: nameOf({ entity: payload.entityid, type: String(type).toUpperCase() }),
    sequence: row?.payload.sequence ?? null,
  };
}

function entry({ key, value }: { readonly key: string; readonly value: number }): readonly [Buffer, Buffer] {
  return [Buffer.from(key), Buffer.from(String(value))];
}

/** What was published, for the fold: the sequence is the place of the notification, and in it. */
function published(input: readonly (readonly Version[])[]): FoldVersion[] {
  return input.flatMap((versions, offset) =>
    versions.map((each, place) => ({ ...each, name: nameOf(each), sequence: `${offset}.${place}` })),
  );
}

function table(outputs: readonly Seen[]): Map<string, string> {
  const rows = new Map<string, string>();
  for (const { name, sequence } of outputs) {
    if (sequence === null) rows.delete(name);
    else rows.set(name, sequence);
  }
  return rows;
}

/** By entity, with the names of the fold. */
function newestIn(store: PartitionStore): Map<string, Newest> {
  return new Map(
    [...store.entries()].map(([key, value]) => {
      const [, , type = '', entity = ''] = JSON.parse(key) as string[];
      return [nameOf({ type, entity }), { instant: Math.floor(value), deleted: !Number.isInteger(value) }];
    }),
  );
}

/** Checked without the fold: no row is older than an earlier row of the same entity. */
function expectInOrder({ input, outputs }: Partition): void {
  const last = new Map<string, number>();
  for (const { name, sequence } of outputs) {
    const [offset = -1, place = -1] = sequence?.split('.').map(Number) ?? [];
    const instant = input[offset]?.[place]?.instant ?? null;
    if (instant === null) continue;
    expect(instant).toBeGreaterThanOrEqual(last.get(name) ?? instant);
    last.set(name, instant);
  }
}

test('what a reader keeps is the fold of the input, whatever arrives and whoever dies', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      const partition = new Partition();
      for (const step of actions) {
        if (step.do === 'notify') partition.input.push(step.versions);
        else if (step.do === 'begin commit') partition.beginCommit();
        else if (step.do === 'committed') partition.commitEnds();
        else if (step.do === 'abort') partition.abort();
        else partition.kill();
        partition.run();
      }
      partition.commitEnds();
      partition.beginCommit();
      partition.commitEnds();

      const { emitted, newest } = fold(published(partition.input));
      expect(partition.outputs).toEqual(emitted);
      expect(table(partition.outputs)).toEqual(table(emitted));
      expect(newestIn(partition.store)).toEqual(newest);
      expect(newestIn(partition.restored())).toEqual(newest);
      expectInOrder(partition);
    }),
    { numRuns: 500 },
  );
});

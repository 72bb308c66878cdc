/**
 * The golden tests of an agent: each vector gives the result of Kafnus 1.5, or that of its
 * departure.
 */
import { describe, expect, test } from '@jest/globals';
import type { StateReader, Step } from '@kafnus/agent-contract';
import type { RawRecord } from '@kafnus/ngsi-core';
import { departures, type Ending } from './departures.js';
import { differences, recordOf, vectorsOf } from './vectors.js';

type GoldenRecord = ReturnType<typeof recordOf>;

/** @param decide the agent under the settings of the vectors */
export function goldenTests(
  agent: 'historic' | 'lastdata' | 'mutable',
  decide: (record: GoldenRecord & RawRecord, memory: StateReader) => unknown,
): void {
  const vectors = vectorsOf(agent);
  const endings = new Map(departures[agent].flatMap(({ ids, why, ends }) => ids.map((id) => [id, { why, ends }])));
  const decided = (id: string): { decision: Step; different: readonly string[] } => {
    const vector = vectors.find((candidate) => candidate.id === id);
    if (vector === undefined) throw new Error(`no vector ${id}`);
    // Each vector is independent: no state is kept between them.
    const decision = decide(recordOf(vector), new Map()) as Step;
    return { decision, different: differences(vector, decision) };
  };

  const same = vectors.filter(({ id }) => !endings.has(id)).map(({ id }) => id);
  test('no two vectors have one id', () => expect(new Set(vectors.map(({ id }) => id)).size).toBe(vectors.length));

  describe('as Kafnus 1.5', () => {
    test.each(same)('%s', (id) => {
      const { decision, different } = decided(id);
      expect(different).toEqual([]);
      expect(decision).toMatchObject({ kind: 'emit' });
      expect(decision).not.toHaveProperty('reports');
    });
  });

  describe('departures', () => {
    const named = [...endings].filter(([id]) => vectors.some((vector) => vector.id === id));
    test.each(named.map(([id, { why, ends }]) => ({ id, why, ends })))('$id ($why)', ({ id, ends }) => {
      const { decision, different } = decided(id);
      expectEnding(decision, ends);
      // Each departure in the list must differ from Kafnus. Where Kafnus sent nothing, a reject
      // differs, and so does a report of an omitted attribute.
      if (ends.kind === 'emit' && (ends.reports ?? []).length === 0) expect(different).not.toEqual([]);
    });
  });
}

/** The departures that no agent has a vector for. */
export function unusedDepartures(): readonly string[] {
  const agents = ['historic', 'lastdata', 'mutable'] as const;
  const known = new Set(agents.flatMap((agent) => vectorsOf(agent).map(({ id }) => id)));
  return agents.flatMap((agent) => departures[agent].flatMap(({ ids }) => ids)).filter((id) => !known.has(id));
}

function expectEnding(decision: Step, ends: Ending): void {
  expect(decision.kind).toBe(ends.kind);
  if (ends.kind === 'reject' && decision.kind === 'reject') expect(decision.rejections[0].code).toBe(ends.code);
  if (ends.kind === 'skip' && decision.kind === 'skip') expect(decision.reason).toBe(ends.reason);
  if (ends.kind !== 'emit' || decision.kind !== 'emit') return;
  expect(decision.outputs).toHaveLength(ends.outputs ?? 1);
  expect((decision.reports ?? []).map(({ code }) => code)).toEqual(ends.reports ?? []);
  expect(decision.skipped ?? []).toEqual(ends.skipped ?? []);
  expect(decision.outputs.filter(({ value }) => value === null)).toHaveLength(ends.tombstones ?? 0);
  for (const [column, wanted] of Object.entries(ends.columns ?? {})) {
    expect([column, columnOf(String(decision.outputs[0]?.value ?? '{}'), column)]).toEqual([column, wanted]);
  }
}

/** A column of a row as `type=value`: the last part of a schema name, and `?` for optional. */
function columnOf(row: string, column: string): string | undefined {
  const { schema, payload } = JSON.parse(row) as {
    schema: { fields: { field: string; type: string; name?: string; optional: boolean }[] };
    payload: Record<string, unknown>;
  };
  const field = schema.fields.find((candidate) => candidate.field === column);
  if (field === undefined || !Object.hasOwn(payload, column)) return undefined;
  const type = field.name?.split('.').at(-1) ?? field.type;
  return `${type}${field.optional ? '?' : ''}=${JSON.stringify(payload[column])}`;
}

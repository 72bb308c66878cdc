import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import type { InputRecord, OutputRecord, Rejection, Step } from '@kafnus/agent-contract';
import { Ledger, LedgerBatch } from '../src/ledger.js';
import type { LedgerTotals } from '../src/status.js';

function record(more: Partial<InputRecord> = {}): InputRecord {
  return {
    topic: 'raw',
    partition: 0,
    offset: 0,
    timestamp: 1,
    key: Buffer.from('k'),
    value: null,
    headers: [],
    ...more,
  };
}
const output: OutputRecord = { topic: 't', key: null, value: null, headers: [], timestamp: 1 };
const rejection = (code: string): Rejection => ({ code, message: 'm', stage: 'VALUE_CONVERTER' });
const emit = (tenant: string, outputs = 1): Step => ({
  kind: 'emit',
  tenant,
  outputs: Array<OutputRecord>(outputs).fill(output),
});
const skip = (tenant: string, reason: string): Step => ({ kind: 'skip', tenant, reason });
const reject = (tenant: string, ...codes: [string, ...string[]]): Step => {
  const [first, ...rest] = codes;
  return { kind: 'reject', tenant, rejections: [rejection(first), ...rest.map(rejection)] };
};

function counted(...steps: Step[]): LedgerBatch {
  const batch = new LedgerBatch();
  for (const step of steps) batch.count(step, record());
  return batch;
}

describe('a batch', () => {
  test('counts by kind, reason and tenant', () => {
    const batch = counted(
      emit('a', 2),
      skip('a', 'stale'),
      skip('a', 'stale'),
      reject('b', 'not-json', 'other'),
      emit('b', 0),
    );
    const ledger = new Ledger(10);
    batch.commitInto(ledger);
    expect(ledger.totals()).toEqual({
      read: 5,
      emitted: 2,
      rekeyed: 0,
      skipped: { stale: 2 },
      rejected: { 'not-json': 1 },
      tenants: {
        a: { read: 3, emitted: 1, rekeyed: 0, skipped: { stale: 2 }, rejected: {} },
        b: { read: 2, emitted: 1, rekeyed: 0, skipped: {}, rejected: { 'not-json': 1 } },
      },
    });
    expect(batch.tenants.get('a')).toMatchObject({ outputs: 2, deadLetters: 0 });
    expect(batch.tenants.get('b')).toMatchObject({ outputs: 0, deadLetters: 1 });
  });

  test('counts the parts of emitted records, and one dead letter for all reports of a record', () => {
    const step: Step = {
      kind: 'emit',
      tenant: 'a',
      outputs: [output],
      skipped: ['entity-delete', 'entity-delete', 'stale'],
      reports: [rejection('bad-date'), rejection('bad-date'), rejection('name-clash')],
    };
    const counts = counted(step, { ...step, skipped: [], reports: [] }).tenants.get('a');
    expect(counts).toMatchObject({ read: 2, emitted: 2, outputs: 2, deadLetters: 1 });
    expect([...(counts?.partsSkipped ?? [])]).toEqual([
      ['entity-delete', 2],
      ['stale', 1],
    ]);
    expect([...(counts?.reports ?? [])]).toEqual([
      ['bad-date', 2],
      ['name-clash', 1],
    ]);
  });

  test('counts records without key, and the newest timestamp of each partition', () => {
    const batch = new LedgerBatch();
    batch.count(emit('a'), record({ key: null, timestamp: 5 }));
    batch.count(emit('a'), record({ partition: 1, timestamp: 6 }));
    batch.count(emit('a'), record({ topic: 'other', partition: 1, timestamp: 7 }));
    batch.count(emit('a'), record({ key: null, timestamp: 4 }));
    expect(batch.records).toBe(4);
    expect(batch.unkeyed).toBe(2);
    expect(batch.partitions).toEqual([
      { topic: 'raw', partition: 0, timestamp: 4 },
      { topic: 'raw', partition: 1, timestamp: 6 },
      { topic: 'other', partition: 1, timestamp: 7 },
    ]);
  });

  test('enters the ledger once', () => {
    const ledger = new Ledger(10);
    const batch = counted(emit('a'));
    batch.commitInto(ledger);
    expect(() => batch.commitInto(ledger)).toThrow('already');
    expect(ledger.totals().read).toBe(1);
  });

  test('is as new after discard', () => {
    const ledger = new Ledger(10);
    const batch = counted(emit('a'), reject('b', 'x'));
    batch.discard();
    expect([batch.records, batch.unkeyed, batch.tenants.size, batch.partitions.length]).toEqual([0, 0, 0, 0]);
    batch.count(skip('a', 'stale'), record({ partition: 3 }));
    batch.commitInto(ledger);
    expect(ledger.totals()).toMatchObject({ read: 1, emitted: 0, rekeyed: 0, skipped: { stale: 1 }, rejected: {} });
    expect(Object.keys(ledger.totals().tenants)).toEqual(['a']);
  });
});

describe('the ledger', () => {
  test('tenants and reasons may have the names of inherited members', () => {
    const ledger = new Ledger(10);
    counted(skip('__proto__', '__proto__'), skip('constructor', 'constructor'), emit('toString')).commitInto(ledger);
    const totals: unknown = JSON.parse(JSON.stringify(ledger.totals()));
    expect(JSON.stringify(totals)).toContain(
      '"__proto__":{"read":1,"emitted":0,"rekeyed":0,"skipped":{"__proto__":1},"rejected":{}}',
    );
    expect(JSON.stringify(totals)).toContain('"constructor":{"read":1');
    expect(JSON.stringify(totals)).toContain('"toString":{"read":1,"emitted":1');
  });

  test('tenants beyond the bound share _other', () => {
    const ledger = new Ledger(2);
    counted(emit('a'), emit('b'), emit('c')).commitInto(ledger);
    counted(emit('d'), emit('a'), emit('c')).commitInto(ledger);
    expect(Object.entries(ledger.totals().tenants).map(([tenant, { read }]) => [tenant, read])).toEqual([
      ['a', 2],
      ['b', 1],
      ['_other', 3],
    ]);
  });

  const reason = fc.constantFrom('stale', 'empty', '__proto__');
  const tenant = fc.constantFrom('a', 'b', 'c', 'd', 'constructor');
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.tuple(tenant, fc.nat(3)).map(([name, outputs]) => emit(name, outputs)),
    fc.tuple(tenant, reason).map(([name, why]) => skip(name, why)),
    fc.tuple(tenant, reason).map(([name, why]) => reject(name, why)),
  );
  const transaction = fc.record({ steps: fc.array(step, { maxLength: 30 }), committed: fc.boolean() });

  test('read = emitted + skipped + rejected, per tenant and in all, whatever commits and aborts', () => {
    fc.assert(
      fc.property(fc.array(transaction, { maxLength: 20 }), fc.integer({ min: 1, max: 6 }), (transactions, bound) => {
        const ledger = new Ledger(bound);
        const batch = new LedgerBatch();
        for (const { steps, committed } of transactions) {
          for (const one of steps) batch.count(one, record());
          if (committed) batch.commitInto(ledger);
          batch.discard();
        }
        const expected = transactions.filter(({ committed }) => committed).flatMap(({ steps }) => steps);
        const totals = ledger.totals();
        expect(totals.read).toBe(expected.length);
        expect(totals.emitted).toBe(expected.filter(({ kind }) => kind === 'emit').length);
        expect(sum(totals.skipped)).toBe(expected.filter(({ kind }) => kind === 'skip').length);
        expect(sum(totals.rejected)).toBe(expected.filter(({ kind }) => kind === 'reject').length);
        const parts = Object.values(totals.tenants);
        expect(parts.length).toBeLessThanOrEqual(bound + 1);
        for (const part of [totals, ...parts]) expect(part.read).toBe(outcomes(part));
        expect(parts.reduce((read, part) => read + part.read, 0)).toBe(totals.read);
        expect(parts.reduce((emitted, part) => emitted + part.emitted, 0)).toBe(totals.emitted);
      }),
    );
  });
});

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

function outcomes({ emitted, skipped, rejected }: LedgerTotals): number {
  return emitted + sum(skipped) + sum(rejected);
}

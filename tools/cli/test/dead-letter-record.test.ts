import { describe, expect, test } from '@jest/globals';
import { deadLetter, type InputRecord } from '@kafnus/agent-runtime';
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  entityIds,
  replayHeaders,
  replayHeader,
  parseDeadLetterRecord,
  type Header,
  type DeadLetterRecord,
  type ConsumedRecord,
} from '../src/replay/dead-letter-record.js';

const record: InputRecord = {
  topic: 'raw_historic',
  partition: 3,
  offset: 42,
  timestamp: 1_780_000_000_000,
  key: Buffer.from('E'),
  value: Buffer.from('{"data":[{"id":"E","type":"T"}]}'),
  headers: [{ 'Fiware-Service': Buffer.from('Harbour') }],
};

/** The dead letter that an agent writes for a record, as it is read from the topic. */
function deadLetterRecord(refused: Partial<InputRecord> = {}, code = 'not-json'): ConsumedRecord {
  const original = { ...record, ...refused };
  const { headers, timestamp } = deadLetter('raw_errors', original, [{ code, message: 'm', stage: 'TRANSFORMATION' }]);
  const { key, value } = original;
  return { topic: 'raw_errors', partition: 1, offset: 7, timestamp: timestamp ?? -1, key, value, headers };
}

function parsed(refused: Partial<InputRecord> = {}, code?: string): DeadLetterRecord {
  const deadLetter = parseDeadLetterRecord(deadLetterRecord(refused, code));
  if (deadLetter.kind === 'unrecognized') throw new Error(deadLetter.problem);
  return deadLetter;
}

const texts = (headers: readonly Header[]): [string, string][] =>
  headers.flatMap((header) => Object.entries(header).map(([name, value]): [string, string] => [name, String(value)]));

describe('a dead letter of an agent', () => {
  test('has the positions of both records, the reason and the tenant', () => {
    expect(parsed()).toMatchObject({
      position: { topic: 'raw_errors', partition: 1, offset: 7 },
      origin: { topic: 'raw_historic', partition: 3, offset: 42 },
      reason: 'not-json',
      message: 'm',
      tenant: 'harbour',
      replays: 0,
      timestamp: record.timestamp,
    });
  });

  test('restores any record: key, value and headers in their order, repeated and empty ones included', () => {
    const name = fc.oneof(
      fc.string(),
      fc.constantFrom(
        'fiware-service',
        '__proto__',
        '__connect.errors.topic',
        '__connect.errors.offset',
        'kafnus.value.omitted',
      ),
    );
    const header = fc
      .tuple(
        name,
        fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      )
      .map(([key, value]): Header => ({ [key]: value }));
    const bytes = fc.option(fc.uint8Array().map((all) => Buffer.from(all)));
    fc.assert(
      fc.property(fc.array(header), bytes, bytes, (headers, key, value) => {
        const deadLetter = parsed({ headers, key, value });
        expect(texts(deadLetter.headers)).toEqual(texts(headers));
        // An agent writes an empty header value as a string: the bytes are the same.
        const bytesOf = (all: readonly Header[]): Buffer[] =>
          all.flatMap((each) => Object.values(each).map((content) => Buffer.from(content)));
        expect(bytesOf(deadLetter.headers)).toEqual(bytesOf(headers));
        expect([deadLetter.key, deadLetter.value]).toEqual([key, value]);
        expect(deadLetter.origin).toEqual({ topic: 'raw_historic', partition: 3, offset: 42 });
      }),
    );
  });

  test('ignores a context that the record itself had', () => {
    const lie = [
      { '__connect.errors.topic': '__consumer_offsets' },
      { '__connect.errors.exception.class.name': 'lie' },
    ];
    expect(parsed({ headers: lie })).toMatchObject({ origin: { topic: 'raw_historic' }, reason: 'not-json' });
  });

  test('counts replays in the last header, whatever its value was', () => {
    const first = replayHeaders(parsed());
    expect(texts(first)).toEqual([
      ['Fiware-Service', 'Harbour'],
      [replayHeader, '1'],
    ]);
    const second = parsed({ headers: first });
    expect(second.replays).toBe(1);
    expect(texts(replayHeaders(second))).toEqual([
      ['Fiware-Service', 'Harbour'],
      [replayHeader, '2'],
    ]);
    for (const [text, replays] of [
      ['many', 1],
      ['-1', 1],
      ['1e9', 1],
      ['', 1],
      ['0', 0],
      ['12', 12],
    ] as const) {
      expect(parsed({ headers: [{ [replayHeader]: text }] }).replays).toBe(replays);
    }
  });

  test('of a record without headers keeps the tenant that the message names', () => {
    const value = Buffer.from('{"fiware-service":"Town","headers":{"fiware-servicepath":"/a"},"data":[]}');
    const deadLetter = parsed({ headers: [], value });
    expect(deadLetter.tenant).toBe('town');
    expect(texts(replayHeaders(deadLetter))).toEqual([
      ['fiware-service', 'Town'],
      ['fiware-servicepath', '/a'],
      [replayHeader, '1'],
    ]);
    expect(texts(replayHeaders(parsed({ headers: [], value: Buffer.from('no json') })))).toEqual([[replayHeader, '1']]);
  });

  test('has the header of an omitted value', () => {
    const headers = [...deadLetterRecord().headers, { 'kafnus.value.omitted': '9 bytes' }];
    expect(parseDeadLetterRecord({ ...deadLetterRecord(), headers, value: null })).toMatchObject({
      omitted: '9 bytes',
    });
  });

  test('has the timestamp of the record, also when the dead-letter topic refused it', () => {
    const headers = [...deadLetterRecord().headers, { 'kafnus.timestamp': '12345' }];
    const deadLetter = parseDeadLetterRecord({ ...deadLetterRecord(), headers, timestamp: 99 });
    expect(deadLetter).toMatchObject({ timestamp: 12_345 });
    expect(deadLetter.kind === 'dead-letter' && deadLetter.headers.flatMap(Object.keys)).not.toContain(
      'kafnus.timestamp',
    );
  });
});

test('dead letters of a real Kafka Connect are parsed the same way', () => {
  const file = join(import.meta.dirname, '../../../libs/ngsi-core/test/golden/connect-dead-letters.json');
  const recorded = JSON.parse(readFileSync(file, 'utf8')) as {
    headers: string[];
    key: string | null;
    payload: string | null;
  }[];
  const deadLetters = recorded.map(({ headers, key, payload }) => {
    const pairs = Array.from({ length: headers.length / 2 }, (_, index) => ({
      [headers[index * 2] ?? '']: headers[index * 2 + 1] ?? '',
    }));
    const bytes = (text: string | null): Buffer | null => (text === null ? null : Buffer.from(text));
    return parseDeadLetterRecord({
      topic: 'raw_errors',
      partition: 0,
      offset: 0,
      timestamp: 1,
      key: bytes(key),
      value: bytes(payload),
      headers: pairs,
    });
  });
  expect(deadLetters).toHaveLength(10);
  for (const deadLetter of deadLetters) {
    expect(deadLetter).toMatchObject({ kind: 'dead-letter', replays: 0 });
    if (deadLetter.kind === 'dead-letter') {
      expect(texts(deadLetter.headers).filter(([name]) => name.startsWith('__connect'))).toEqual([]);
      expect(deadLetter.reason).toMatch(/^[A-Z][A-Za-z]+$/);
      // The probe of one of them names no service.
      expect(['tenant0', 'default']).toContain(deadLetter.tenant);
    }
  }
});

test.each([
  [[], 'it has no header __connect.errors.topic'],
  [[{ '__connect.errors.topic': 't' }], '__connect.errors.topic, .partition and .offset do not name a record'],
  [
    [{ '__connect.errors.topic': 't' }, { '__connect.errors.partition': '0x1' }, { '__connect.errors.offset': '1' }],
    '__connect.errors.topic, .partition and .offset do not name a record',
  ],
  [
    [{ '__connect.errors.topic': '' }, { '__connect.errors.partition': '0' }, { '__connect.errors.offset': '1' }],
    '__connect.errors.topic, .partition and .offset do not name a record',
  ],
])('%j is not recognized', (headers, problem) => {
  expect(parseDeadLetterRecord({ ...deadLetterRecord(), headers })).toMatchObject({ kind: 'unrecognized', problem });
});

test.each([
  ['E', '{"data":[{"id":"a"},{"id":"b"},7,{"id":3}]}', ['a', 'b']],
  ['{"schema":{},"payload":{"entityid":"x"}}', '{"schema":{},"payload":{}}', ['x']],
  ['E', 'no json', ['E']],
  [null, 'no json', []],
])('the entities of key %j and value %j', (key, value, ids) => {
  expect(entityIds({ key: key === null ? null : Buffer.from(key), value: Buffer.from(value) })).toEqual(ids);
});

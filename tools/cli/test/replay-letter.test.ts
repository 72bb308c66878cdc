import { describe, expect, test } from '@jest/globals';
import { deadLetter, type InputRecord } from '@kafnus/agent-runtime';
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  entityIds,
  markedHeaders,
  MARK,
  readLetter,
  type Header,
  type Letter,
  type LetterRecord,
} from '../src/replay/letter.js';

const record: InputRecord = {
  topic: 'raw_historic',
  partition: 3,
  offset: 42,
  timestamp: 1_780_000_000_000,
  key: Buffer.from('E'),
  value: Buffer.from('{"data":[{"id":"E","type":"T"}]}'),
  headers: [{ 'Fiware-Service': Buffer.from('Harbour') }],
};

/** The letter that an agent makes of a record, as it is read from the dead-letter topic. */
function letterRecord(refused: Partial<InputRecord> = {}, code = 'not-json'): LetterRecord {
  const original = { ...record, ...refused };
  const { headers, timestamp } = deadLetter('raw_errors', original, [{ code, message: 'm', stage: 'TRANSFORMATION' }]);
  const { key, value } = original;
  return { topic: 'raw_errors', partition: 1, offset: 7, timestamp: timestamp ?? -1, key, value, headers };
}

function letterOf(refused: Partial<InputRecord> = {}, code?: string): Letter {
  const letter = readLetter(letterRecord(refused, code));
  if (letter.kind === 'foreign') throw new Error(letter.problem);
  return letter;
}

const texts = (headers: readonly Header[]): [string, string][] =>
  headers.flatMap((header) => Object.entries(header).map(([name, value]): [string, string] => [name, String(value)]));

describe('a letter of an agent', () => {
  test('tells where it lies, where its record was, why it was refused and whose it is', () => {
    expect(letterOf()).toMatchObject({
      place: { topic: 'raw_errors', partition: 1, offset: 7 },
      origin: { topic: 'raw_historic', partition: 3, offset: 42 },
      reason: 'not-json',
      message: 'm',
      tenant: 'harbour',
      replays: 0,
      timestamp: record.timestamp,
    });
  });

  test('gives any record back as it was: key, value, headers in their order, repeated ones and empty ones', () => {
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
        const letter = letterOf({ headers, key, value });
        expect(texts(letter.headers)).toEqual(texts(headers));
        expect(letter.headers.map((each) => Object.values(each)[0])).toEqual(
          headers.map((each) => Object.values(each)[0]),
        );
        expect([letter.key, letter.value]).toEqual([key, value]);
        expect(letter.origin).toEqual({ topic: 'raw_historic', partition: 3, offset: 42 });
      }),
    );
  });

  test('cannot be led astray by a record that brings a context of its own', () => {
    const lie = [
      { '__connect.errors.topic': '__consumer_offsets' },
      { '__connect.errors.exception.class.name': 'lie' },
    ];
    expect(letterOf({ headers: lie })).toMatchObject({ origin: { topic: 'raw_historic' }, reason: 'not-json' });
  });

  test('counts replays: the mark is the last header, whatever stood there', () => {
    const first = markedHeaders(letterOf());
    expect(texts(first)).toEqual([
      ['Fiware-Service', 'Harbour'],
      [MARK, '1'],
    ]);
    const second = letterOf({ headers: first });
    expect(second.replays).toBe(1);
    expect(texts(markedHeaders(second))).toEqual([
      ['Fiware-Service', 'Harbour'],
      [MARK, '2'],
    ]);
    for (const [mark, replays] of [
      ['many', 1],
      ['-1', 1],
      ['1e9', 1],
      ['', 1],
      ['0', 0],
      ['12', 12],
    ] as const) {
      expect(letterOf({ headers: [{ [MARK]: mark }] }).replays).toBe(replays);
    }
  });

  test('of a record without headers keeps the tenant that the message names', () => {
    const value = Buffer.from('{"fiware-service":"Town","headers":{"fiware-servicepath":"/a"},"data":[]}');
    const letter = letterOf({ headers: [], value });
    expect(letter.tenant).toBe('town');
    expect(texts(markedHeaders(letter))).toEqual([
      ['fiware-service', 'Town'],
      ['fiware-servicepath', '/a'],
      [MARK, '1'],
    ]);
    expect(texts(markedHeaders(letterOf({ headers: [], value: Buffer.from('no json') })))).toEqual([[MARK, '1']]);
  });

  test('says that its value is elsewhere', () => {
    const headers = [...letterRecord().headers, { 'kafnus.value.omitted': '9 bytes' }];
    expect(readLetter({ ...letterRecord(), headers, value: null })).toMatchObject({ omitted: '9 bytes' });
  });

  test('has the timestamp of the record, also where the dead-letter topic refused it', () => {
    const headers = [...letterRecord().headers, { 'kafnus.timestamp': '12345' }];
    const letter = readLetter({ ...letterRecord(), headers, timestamp: 99 });
    expect(letter).toMatchObject({ timestamp: 12_345 });
    expect(letter.kind === 'letter' && letter.headers.flatMap(Object.keys)).not.toContain('kafnus.timestamp');
  });
});

test('letters of Kafka Connect, as recorded from a real one, are read the same way', () => {
  const file = join(import.meta.dirname, '../../../libs/ngsi-core/test/golden/connect-dead-letters.json');
  const recorded = JSON.parse(readFileSync(file, 'utf8')) as {
    headers: string[];
    key: string | null;
    payload: string | null;
  }[];
  const letters = recorded.map(({ headers, key, payload }) => {
    const pairs = Array.from({ length: headers.length / 2 }, (_, index) => ({
      [headers[index * 2] ?? '']: headers[index * 2 + 1] ?? '',
    }));
    const bytes = (text: string | null): Buffer | null => (text === null ? null : Buffer.from(text));
    return readLetter({
      topic: 'raw_errors',
      partition: 0,
      offset: 0,
      timestamp: 1,
      key: bytes(key),
      value: bytes(payload),
      headers: pairs,
    });
  });
  expect(letters).toHaveLength(10);
  for (const letter of letters) {
    expect(letter).toMatchObject({ kind: 'letter', replays: 0 });
    if (letter.kind === 'letter') {
      expect(texts(letter.headers).filter(([name]) => name.startsWith('__connect'))).toEqual([]);
      expect(letter.reason).toMatch(/^[A-Z][A-Za-z]+$/);
      // The probe of one of them names no service.
      expect(['tenant0', 'default']).toContain(letter.tenant);
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
])('%j is no letter', (headers, problem) => {
  expect(readLetter({ ...letterRecord(), headers })).toMatchObject({ kind: 'foreign', problem });
});

test.each([
  ['E', '{"data":[{"id":"a"},{"id":"b"},7,{"id":3}]}', ['a', 'b']],
  ['{"schema":{},"payload":{"entityid":"x"}}', '{"schema":{},"payload":{}}', ['x']],
  ['E', 'no json', ['E']],
  [null, 'no json', []],
])('the entities of key %j and value %j', (key, value, ids) => {
  expect(entityIds({ key: key === null ? null : Buffer.from(key), value: Buffer.from(value) })).toEqual(ids);
});

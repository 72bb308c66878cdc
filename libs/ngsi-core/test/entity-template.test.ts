/** A template gives the same entity as JSON.parse, or does not match. */
import { describe, expect, test } from '@jest/globals';
import type { Sink } from '../src/attribute.js';
import { recordWriter } from '../src/connect-record.js';
import { EntityTemplates } from '../src/entity-template.js';
import { readEntity, type Entity } from '../src/notification.js';

const RECVTIME = '2025-05-06T07:08:09.012Z';
/** The numbers of unmatched entities until the first template, and at most until the next. */
const first = 31;
const more = 11_000;
const writers = { kafnus: recordWriter('kafnus'), debezium: recordWriter('debezium') };

function parsed(json: string): Entity {
  const entity = readEntity(JSON.parse(json));
  if (entity.kind === 'refused') throw new Error(entity.refusal.message);
  return entity;
}

function learn(templates: EntityTemplates, json: string, times: number): void {
  const entity = parsed(json);
  for (let time = 0; time < times; time++) templates.learn(entity);
}

function templatesOf(json: string, sink: Sink = 'kafnus'): EntityTemplates {
  const templates = new EntityTemplates(writers[sink].rowTemplate);
  learn(templates, json, first);
  return templates;
}

function reads(templates: EntityTemplates, text: string): boolean {
  return templates.read(text)?.complete ?? false;
}

const message = (...entities: string[]): string => `{"subscriptionId":"5f8a","data":[${entities.join(',')}]}`;

/** All properties of an entity, and its row as historic writes it. */
function seen(entity: Entity | undefined, sink: Sink): unknown {
  if (entity === undefined) return undefined;
  const { id, type, timeInstantName, timeInstant, alteration, members } = entity;
  const received = timeInstant.kind === 'text' ? timeInstant.text : undefined;
  const instant = received === undefined ? undefined : writers[sink].instantText(received);
  const row = writers[sink].row(entity, instant, '/p', RECVTIME);
  const key = writers[sink].key(entity, instant);
  return { id, type, timeInstantName, timeInstant, alteration, members, row, key };
}

function expectSame(json: string, like: string, sink: Sink): void {
  const reading = templatesOf(like, sink).read(message(json));
  expect(reading).toMatchObject({ complete: true, entities: [{}] });
  expect(seen(reading?.entities[0], sink)).toEqual(seen(parsed(json), sink));
}

const station = (attributes: string): string => `{"id":"urn:x:1","type":"Station"${attributes}}`;
const one = (type: string, value: string): string => station(`,"a":{"type":"${type}","value":${value},"metadata":{}}`);

describe('a template reads', () => {
  test.each([
    ['a static entity', station(''), '{"id":"Ñandú 🦤","type":"Station"}'],
    ['another id', one('Number', '1'), '{"id":"2","type":"Station","a":{"type":"Number","value":1,"metadata":{}}}'],
    [
      'its TimeInstant, whatever its case and type',
      station(',"TIMEINSTANT":{"type":"x","value":"2025-01-02T03:04:05.678Z"},"b":{"value":1}'),
      station(',"TIMEINSTANT":{"type":"x","value":"2026-02-03T04:05:06.789Z"},"b":{"value":2}'),
    ],
    [
      'a deletion as one',
      station(',"alterationType":{"type":"Text","value":"entityDelete"},"b":{"value":1}'),
      station(',"alterationType":{"type":"Text","value":"entityDelete"},"b":{"value":2}'),
    ],
    [
      'metadata, which no row has',
      station(',"a":{"value":1,"metadata":{"unit":{"type":"Text","value":"m"},"n":{"value":[1,null,true]}}}'),
      station(',"a":{"value":2,"metadata":{"unit":{"type":"Text","value":"km"},"n":{"value":[2,null,false]}}}'),
    ],
    [
      'nulls and attributes without a value',
      station(',"a":{"type":"Number","value":null},"b":{"type":"DateTime"},"c":null,"d":{"value":1}'),
      station(',"a":{"type":"Number","value":null},"b":{"type":"DateTime"},"c":null,"d":{"value":2}'),
    ],
    [
      'names that need care',
      station(',"__proto__":{"value":1},"constructor":{"value":2},"a.b*c(d)[e]{f}|g^h$i\\\\j\\"k":{"value":3}'),
      station(',"__proto__":{"value":4},"constructor":{"value":5},"a.b*c(d)[e]{f}|g^h$i\\\\j\\"k":{"value":6}'),
    ],
    [
      'types that are no text',
      station(',"a":{"type":{"x":[1]},"value":1},"b":{"type":5,"value":"x"}'),
      station(',"a":{"type":{"x":[1]},"value":2},"b":{"type":5,"value":"y"}'),
    ],
  ])('%s', (_what, like, json) => {
    expectSame(json, like, 'kafnus');
    expectSame(like, like, 'kafnus');
  });

  const values: readonly [type: string, like: string, ...others: string[]][] = [
    [
      'Number',
      '1',
      '0',
      '-1',
      '0.5',
      '-0.5',
      '21.25',
      '999999999.999999',
      '0.000001',
      '-0',
      '0.0',
      '1.50',
      '1e3',
      '1E-7',
    ],
    ['Number', '1', '1e999', '0.0000001', '123456789012345678', '0.30000000000000004', '1e21', '5e-324', '-0.0'],
    ['Number', '1', '123456789012345', '9007199254740993', '1234567890.5', '12345678901.123456', '100', '1.0e0'],
    ['Text', '"x"', '""', '"Ñandú 🦤"', '"\u2028\u007f"', '"entityDelete"', '"2025-01-02"'],
    ['Boolean', 'true', 'false'],
    ['Number', '"x"', '"1"'],
    ['DateTime', '"2025-01-02"', '"2025-01-02T03:04:05.678Z"', '"never"', '""', '"-004800-01-01T00:00:00Z"'],
    ['geo:point', '"1,2"', '"40.4,-3.7"', '"91,0"', '"x"'],
    ['geo:line', '["1,2","3,4"]', '["1,2","1,2"]', '["x","y"]'],
    ['geo:json', '{"type":"Point","coordinates":[1,2]}', '{"type":"Point","coordinates":[-3.70379020000000012,40.50]}'],
    ['geo:json', '{"type":"Point","coordinates":[1,2]}', '{"type":"Circle","coordinates":[1,2]}'],
    ['json', '1', '2', '1.50', '-0', '1e999'],
    ['jsonb', '"x"', '"y"', '""'],
    [
      'json',
      '{"a":[1,"x",true,null,{"b":{}}]}',
      '{"a":[2.5,"y",false,null,{"b":{}}]}',
      '{"a":[1.0,"y",true,null,{"b":{}}]}',
    ],
    ['StructuredValue', '{"n":1}', '{"n":0.30000000000000004}', '{"n":-0}', '{"n":1e3}', '{"n":12345678901234567}'],
    [
      'StructuredValue',
      '{"n":1}',
      '{"n":0.0000001}',
      '{"n":9007199254740993}',
      '{"n":123456789.123456789}',
      '{"n":1.50}',
    ],
    ['StructuredValue', '["1"]', '["1.50"]', '["2025-01-02"]', '["1e3 and 0.0000000"]', '["Ñ🦤"]'],
    ['StructuredValue', '{"2":1,"a":2}', '{"2":3,"a":4}'],
  ];
  const cases = values.flatMap(([type, like, ...others]) =>
    [like, ...others].flatMap((value) =>
      (['kafnus', 'debezium'] as const).map((sink) => ({ type, like, value, sink })),
    ),
  );
  test.each(cases)('$type $value after $like as it is, for $sink', ({ type, like, value, sink }) => {
    expectSame(one(type, value), one(type, like), sink);
  });

  test('several entities of several types, and the first of them where the others must be parsed', () => {
    const templates = templatesOf(one('Number', '1'));
    const other = one('Text', '"x"').replace('Station', 'Bus');
    const text = message(one('Number', '2'), other, one('Number', '3'));
    expect(templates.read(text)).toMatchObject({ complete: false, entities: [{ type: 'Station' }] });
    learn(templates, other, more);
    const { complete, entities = [] } = templates.read(text) ?? {};
    expect(complete).toBe(true);
    expect(entities.map((entity) => [entity.type, entity.members['a']])).toMatchObject([
      ['Station', { value: 2 }],
      ['Bus', { value: 'x' }],
      ['Station', { value: 3 }],
    ]);
  });

  // Entities that cannot become templates must not use up every attempt.
  test.each([2, 3, 4, 8])('%i kinds of entities that come in turn, though one of them cannot become one', (count) => {
    const templates = new EntityTemplates(writers.kafnus.rowTemplate);
    const forms = Array.from({ length: count }, (_, kind) =>
      one('Text', kind === 0 ? '"\\n"' : `"x"`).replace('a', `a${kind}`),
    );
    for (let time = 0; time < count * more; time++) {
      const form = forms[time % count] ?? '';
      if (!reads(templates, message(form))) templates.learn(parsed(form));
    }
    expect(forms.map((form) => reads(templates, message(form)))).toEqual(forms.map((_, kind) => kind !== 0));
  });

  test('entities of a type that come with different attributes in turn', () => {
    const templates = new EntityTemplates(writers.kafnus.rowTemplate);
    const forms = ['1', '"x"', 'null', 'true'].map((value) => one('Number', value));
    for (let time = 0; time < 5000; time++) {
      const form = forms[time % forms.length] ?? '';
      if (!reads(templates, message(form))) templates.learn(parsed(form));
    }
    for (const form of forms) expect(reads(templates, message(form))).toBe(true);
  });
});

describe('a template does not read', () => {
  const like = one('Number', '1');
  test('what it learnt from, unless it was told often enough', () => {
    const templates = new EntityTemplates(writers.kafnus.rowTemplate);
    learn(templates, like, first - 1);
    expect(reads(templates, message(like))).toBe(false);
    learn(templates, like, 1);
    expect(reads(templates, message(like))).toBe(true);
  });

  test.each([
    ['another type', message(like.replace('Station', 'Bus'))],
    ['another type of an attribute', message(one('Text', '1'))],
    ['another kind of value', message(one('Number', '"1"'))],
    ['a null', message(one('Number', 'null'))],
    ['an attribute more', message(like.replace(/\}$/, ',"b":{"value":1}}'))],
    ['an attribute twice', message(like.replace(/\}$/, ',"a":{"type":"Number","value":2,"metadata":{}}}'))],
    ['an attribute less', message(station(''))],
    ['metadata more', message(like.replace('"metadata":{}', '"metadata":{"x":{}}'))],
    ['an empty id', message(like.replace('urn:x:1', ''))],
    ['an id with an escape', message(like.replace('urn:x:1', '\\u0041'))],
    ['an id with a control character', message(like.replace('urn:x:1', 'a\nb'))],
    ['an id that is no text', message(like.replace('"urn:x:1"', '5'))],
    ['a number with a zero before it', message(one('Number', '01'))],
    ['a number without digits', message(one('Number', '-'))],
    ['a number that ends with a point', message(one('Number', '1.'))],
    ['a number with an empty exponent', message(one('Number', '1e'))],
    ['a number with a plus', message(one('Number', '+1'))],
    ['a blank', message(like.replace(':1,', ': 1,'))],
    ['a blank at the end', `${message(like)} `],
    ['two messages', message(like) + message(like)],
    ['a comma too many', message(`${like},`)],
    ['no entity', message()],
    ['something that is none', message(like, '5')],
    ['the end missing', message(like).slice(0, -1)],
    ['members behind the entities', message(like).replace(/\}$/, ',"data":[]}')],
    ['a byte order mark', `\ufeff${message(like)}`],
    ['a replacement character, which may be none of UTF-8', message(like.replace('urn', '\ufffd'))],
    ['a very long message', message(like).replace('5f8a', 'x'.repeat(1 << 20))],
  ])('%s', (_what, text) => expect(reads(templatesOf(like), text)).toBe(false));

  test.each([
    ['an attribute that is none', station(',"a":5')],
    ['an attribute that cannot be converted', one('DateTime', '"never"')],
    ['an attribute without value', station(',"a":{"type":"Number","valor":1}')],
    ['names that are the same column', station(',"a":{"value":1},"A":{"value":2}')],
    ['a name that is an array index', station(',"7":{"value":1}')],
    ['a TimeInstant of null', station(',"TimeInstant":null')],
    ['a TimeInstant that is no text', station(',"TimeInstant":{"value":5}')],
    ['the type before the id', '{"type":"Station","id":"1"}'],
    ['no type', '{"id":"1","a":{"value":1}}'],
    ['a long type', station('').replace('Station', 'x'.repeat(501))],
    ['a long value', station(`,"a":{"value":[${'1,'.repeat(15_000)}1]}`)],
    [
      'many members',
      station(`,"a":{"value":1${Array.from({ length: 2000 }, (_, place) => `,"m${place}":1`).join('')}}`),
    ],
    ['more than V8 compiles well', station(`,"${'a'.repeat(25_000)}":{"value":1}`)],
    ['what is nested too deeply', one('Text', '[]').replace('"metadata":{}', `"metadata":${'['.repeat(20_000)}${']'.repeat(20_000)}`)], // prettier-ignore
  ])('%s, and so none is made', (_what, json) => {
    expect(reads(templatesOf(json), message(json))).toBe(false);
  });
});

describe('templates cost little', () => {
  test('where no two entities are alike, one in some hundred becomes one', () => {
    const templates = new EntityTemplates(writers.kafnus.rowTemplate);
    let made = 0;
    for (let count = 0; count < 50_000; count++) {
      const json = station(`,"a${count}":{"value":1}`);
      templates.learn(parsed(json));
      if (reads(templates, message(json))) made += 1;
    }
    expect(made).toBeGreaterThan(150);
    expect(made).toBeLessThan(250);
  });

  test('of one type there are eight: the one behind all others makes room', () => {
    const templates = new EntityTemplates(writers.kafnus.rowTemplate);
    const forms = Array.from({ length: 12 }, (_, count) => station(`,"a${count}":{"value":1}`));
    for (const form of forms) {
      learn(templates, form, more);
      for (let time = 0; time < 12; time++) templates.read(message(form));
    }
    const read = forms.map((form) => reads(templates, message(form)));
    expect(read.filter(Boolean)).toHaveLength(8);
    expect(read.at(-1)).toBe(true);
  });

  test.each([
    [
      'names',
      40,
      (count: number) =>
        station(`,"a":{"value":1}`).replace(/"a"|Station/g, (text) =>
          text === '"a"' ? `"${'a'.repeat(15_000)}"` : `T${count}`,
        ),
    ],
    ['types', 250, (count: number) => station(`,"a":{"value":1}`).replace('Station', `T${count}`.padEnd(500, 'x'))],
  ])('they are forgotten when there are too many with long %s', (_what, count, form) => {
    const templates = new EntityTemplates(writers.kafnus.rowTemplate);
    for (let place = 0; place < count; place++) {
      learn(templates, form(place), more);
      expect(reads(templates, message(form(place)))).toBe(true);
    }
    expect(reads(templates, message(form(0)))).toBe(false);
  });
});

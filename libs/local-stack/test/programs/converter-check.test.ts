import { beforeAll, describe, expect, jest, test } from '@jest/globals';
import { withKafka } from '@kafnus/agent-testkit';
import { checkWithJsonConverter, type ConverterVerdict } from '@kafnus/local-stack';

jest.setTimeout(120_000);
const describeWithKafka = withKafka(describe);

const struct = (fields: object[], payload: unknown): string =>
  JSON.stringify({ schema: { type: 'struct', fields, optional: false }, payload });
const text = (field: string): object => ({ field, type: 'string', optional: false });
const record = (
  value: string | null,
  key: string | Buffer | null = null,
): { topic: string; key: string | Buffer | null; value: string | null } => ({
  topic: 'madrid',
  key,
  value,
});
const TIMESTAMP = 'org.apache.kafka.connect.data.Timestamp';
const GEOMETRY = 'io.confluent.connect.jdbc.data.geometry.Geometry';

describeWithKafka('checkWithJsonConverter', () => {
  let verdicts: ConverterVerdict[];
  const at = (index: number): ConverterVerdict => {
    const found = verdicts[index];
    if (found === undefined) throw new Error(`no verdict ${index}`);
    return found;
  };

  beforeAll(async () => {
    const geometryFields = [
      { field: 'wkb', type: 'bytes', optional: false },
      { field: 'srid', type: 'int32', optional: false },
    ];
    const rich = [
      text('entityid'),
      { field: 'seen', type: 'int64', name: TIMESTAMP, optional: false },
      { field: 'where', type: 'struct', name: GEOMETRY, fields: geometryFields, optional: false },
      { field: 'level', type: 'double', optional: true },
    ];
    const row = { entityid: 'Sala:ñ', seen: 1_700_000_000_123, where: { wkb: 'AQI=', srid: 4326 }, level: null };
    verdicts = await checkWithJsonConverter([
      record(struct(rich, row), struct([text('entityid')], { entityid: 'Sala:ñ' })),
      record(null, struct([text('entityid')], { entityid: 'gone' })),
      record(struct([text('entityid')], {})),
      record(struct([{ field: 'level', type: 'double', optional: false }], { level: 'high' })),
      record(struct([{ field: 'level', type: 'float99', optional: false }], { level: 1 })),
      record('{"entityid":"no envelope"}'),
      record('no JSON'),
      record(struct([text('a')], { a: 'x' }), Buffer.from('plain key')),
    ]);
  });

  test('renders schema and values as a sink gets them', () => {
    expect(at(0)).toEqual({
      ok: true,
      key: {
        schema: {
          type: 'struct',
          optional: false,
          fields: [{ field: 'entityid', schema: { type: 'string', optional: false } }],
        },
        value: { entityid: 'Sala:ñ' },
      },
      value: {
        schema: {
          type: 'struct',
          optional: false,
          fields: [
            { field: 'entityid', schema: { type: 'string', optional: false } },
            { field: 'seen', schema: { type: 'int64', name: TIMESTAMP, optional: false } },
            {
              field: 'where',
              schema: {
                type: 'struct',
                name: GEOMETRY,
                optional: false,
                fields: [
                  { field: 'wkb', schema: { type: 'bytes', optional: false } },
                  { field: 'srid', schema: { type: 'int32', optional: false } },
                ],
              },
            },
            { field: 'level', schema: { type: 'float64', optional: true } },
          ],
        },
        value: { entityid: 'Sala:ñ', seen: 1_700_000_000_123, where: { wkb: 'AQI=', srid: 4326 }, level: null },
      },
    });
  });

  test('a tombstone has neither schema nor value', () => {
    expect(at(1)).toMatchObject({ ok: true, value: { schema: null, value: null } });
  });

  test.each([
    ['a missing field that is not optional', 2, 'value: .*Invalid null value for required STRING field'],
    ['a value of another type than its schema', 3, 'value: .*"high".* is read as .*0'],
    ['a type that Connect does not have', 4, 'value: .*float99'],
    ['a value without schema and payload', 5, 'value: .*schemas.enable'],
    ['a value that is not JSON', 6, 'value: .*(serialization|JSON)'],
    ['a key that is not JSON', 7, 'key: .*(serialization|JSON)'],
  ])('refuses %s', (_, index, error) => {
    expect(at(index)).toEqual({ ok: false, error: expect.stringMatching(error) });
  });
});

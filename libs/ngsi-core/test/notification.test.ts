import { describe, expect, test } from '@jest/globals';
import { parseNotification, readEntity } from '../src/notification.js';

function code(value: Buffer | string | null): string {
  const parsed = parseNotification(typeof value === 'string' ? Buffer.from(value) : value);
  return parsed.kind === 'refused' ? parsed.refusal.code : `${parsed.data.length} entities`;
}

describe('notifications', () => {
  test.each<[string, Buffer | string | null, string]>([
    ['a tombstone', null, 'value-missing'],
    ['nothing', '', 'not-json'],
    ['half a message', '{"data":[{"id":"E1"', 'not-json'],
    ['a byte order mark', '\ufeff{"data":[]}', 'not-json'],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), 'not-utf8'],
    ['a surrogate in UTF-8', Buffer.from('{"data":["\xed\xa0\x80"]}', 'latin1'), 'not-utf8'],
    ['null', 'null', 'not-a-notification'],
    ['an array', '[{"id":"E1"}]', 'not-a-notification'],
    ['no data', '{"subscriptionId":"s"}', 'not-a-notification'],
    ['data that is no array', '{"data":{"id":"E1"}}', 'not-a-notification'],
    ['data of a prototype', '{"__proto__":{"data":[]}}', 'not-a-notification'],
    ['no entities', '{"data":[]}', '0 entities'],
    ['a replacement character that was sent', '{"data":["\ufffd"]}', '1 entities'],
    ['deep nesting', `{"data":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, '1 entities'],
  ])('%s', (_what, value, wanted) => expect(code(value)).toBe(wanted));

  test('a message says what is wrong with which value, shortened', () => {
    const parsed = parseNotification(Buffer.from(`{"data":"${'x'.repeat(1000)}"}`));
    expect(parsed.kind === 'refused' && parsed.refusal.message).toMatch(
      /^"data" must be an array of entities, not "x{80}"… \(1000 characters\)$/,
    );
  });

  test('what cannot be read fails in the converter, what is read in the transformation', () => {
    expect(parseNotification(null)).toMatchObject({ refusal: { stage: 'VALUE_CONVERTER' } });
    expect(parseNotification(Buffer.from('5'))).toMatchObject({ refusal: { stage: 'TRANSFORMATION' } });
  });
});

describe('entities', () => {
  test.each<[unknown, string]>([
    [null, 'entity-invalid'],
    [5, 'entity-invalid'],
    [[], 'entity-invalid'],
    [{}, 'entity-id-invalid'],
    [{ id: '' }, 'entity-id-invalid'],
    [{ id: 5 }, 'entity-id-invalid'],
    [{ id: 'E1', type: 5 }, 'entity-type-invalid'],
    [{ id: 'E1', type: {} }, 'entity-type-invalid'],
  ])('%j is refused', (element, wanted) =>
    expect(readEntity(element)).toMatchObject({ kind: 'refused', refusal: { code: wanted } }),
  );

  test('type missing: Thing', () => {
    expect(readEntity({ id: 'E1' })).toMatchObject({ type: 'Thing' });
    expect(readEntity({ id: 'E1', type: null })).toMatchObject({ type: 'Thing' });
  });

  test.each<[unknown, unknown]>([
    [{ id: 'E1' }, { kind: 'missing' }],
    [{ id: 'E1', TimeInstant: null }, { kind: 'missing' }],
    [{ id: 'E1', TimeInstant: { type: 'DateTime' } }, { kind: 'missing' }],
    [{ id: 'E1', TimeInstant: { value: null } }, { kind: 'missing' }],
    [{ id: 'E1', time_instant: { value: 'x' } }, { kind: 'missing' }],
    [
      { id: 'E1', TIMEINSTANT: { value: 'x' } },
      { kind: 'text', text: 'x' },
    ],
    [
      { id: 'E1', timeinstant: { value: 'first' }, TimeInstant: { value: 'second' } },
      { kind: 'text', text: 'first' },
    ],
    [
      { id: 'E1', TimeInstant: { value: 5 } },
      { kind: 'not-text', value: 5 },
    ],
    [
      { id: 'E1', TimeInstant: '2025-01-01' },
      { kind: 'not-text', value: '2025-01-01' },
    ],
  ])('TimeInstant of %j', (element, timeInstant) => expect(readEntity(element)).toMatchObject({ timeInstant }));

  test.each<[unknown, unknown]>([
    [{ id: 'E1', alterationType: { value: 'entityDelete' } }, 'delete'],
    [{ id: 'E1', alterationType: { value: 'ENTITYDELETE' } }, 'delete'],
    [{ id: 'E1', alterationType: 'entityDelete' }, 'delete'],
    [{ id: 'E1', alterationType: { value: 'entityCreate' } }, 'create'],
    [{ id: 'E1', alterationType: 'entityCreate' }, 'create'],
    [{ id: 'E1', ALTERATIONTYPE: { value: 'entityDelete' }, alterationType: { value: 'entityDelete' } }, 'delete'],
    [{ id: 'E1', ALTERATIONTYPE: { value: 'entityDelete' }, alterationType: { value: 'entityCreate' } }, 'create'],
    [{ id: 'E1', alterationType: { value: 'entityDelete' }, ALTERATIONTYPE: { value: 'mine' } }, 'delete'],
    [{ id: 'E1', alterationtype: { value: 'entityDelete' } }, 'delete-in-other-case'],
    [{ id: 'E1', alterationtype: { value: 'entityCreate' } }, undefined],
    [{ id: 'E1', alterationType: { value: ' entityDelete' } }, undefined],
    [{ id: 'E1', alterationType: { value: 'entityUpdate' } }, undefined],
    [{ id: 'E1', alterationType: { value: 'mine' } }, undefined],
    [{ id: 'E1', alterationType: null }, undefined],
  ])('alteration of %j', (element, alteration) => expect(readEntity(element)).toMatchObject({ alteration }));
});

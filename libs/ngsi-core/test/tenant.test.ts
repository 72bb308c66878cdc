import { describe, expect, test } from '@jest/globals';
import { fiwareHeaders, sanitise } from '../src/tenant.js';

describe('sanitise', () => {
  test.each([
    ['', ''],
    ['/', ''],
    ['//', ''],
    ['/a/b/', 'a_b'],
    ['//a//b//', '_a__b_'],
    ['  Ab  ', 'ab'],
    [' /p/ ', 'p'],
    ['urn:ngsi-ld:Sensor:001', 'urn_ngsi_ld_sensor_001'],
    ['Ñandú-東京', '_and____'],
    ['🌍x', '__x'],
    ['İI', 'i_i'],
    ['a\tb', 'a_b'],
    ['already_clean_1', 'already_clean_1'],
  ])('%j -> %j', (text, name) => expect(sanitise(text)).toBe(name));
});

describe('FIWARE headers', () => {
  const found = (service?: string, servicepath?: string, correlator?: string, datamodel?: string) => ({
    service,
    servicepath,
    correlator,
    datamodel,
  });

  test('names in any case, values as text or bytes', () => {
    const headers = [
      { 'Fiware-Service': Buffer.from('Town') },
      { 'FIWARE-SERVICEPATH': '/p' },
      { 'fiware-correlator': 'c' },
      { 'fiware-datamodel': Buffer.from('dm') },
      { 'x-fiware-service': 'no' },
    ];
    expect(fiwareHeaders(headers, undefined)).toEqual(found('Town', '/p', 'c', 'dm'));
  });

  test('of a repeated header the last counts', () => {
    expect(fiwareHeaders([{ 'fiware-service': 'a' }, { 'Fiware-Service': 'b' }], undefined)).toEqual(found('b'));
  });

  test('any header, even an unrelated one, keeps the message out of it', () => {
    expect(fiwareHeaders([{ foo: 'bar' }], { 'fiware-service': 'body' })).toEqual(found());
  });

  test('without any: the headers of the message, then the message', () => {
    const message = {
      'fiware-service': 'body',
      'fiware-servicepath': '/body',
      headers: { 'Fiware-Service': 'inner', 'fiware-servicepath': null },
    };
    expect(fiwareHeaders([], message)).toEqual(found('inner', '/body'));
    expect(fiwareHeaders([], { 'fiware-service': 'body', headers: 'none' })).toEqual(found('body'));
  });

  test('of a message what is no text reads as it is, an object as no name', () => {
    expect(fiwareHeaders([], { 'fiware-datamodel': 5, 'fiware-service': { a: 1 } })).toEqual(
      found('[object]', undefined, undefined, '5'),
    );
  });
});

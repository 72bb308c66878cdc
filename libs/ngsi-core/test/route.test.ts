import { describe, expect, test } from '@jest/globals';
import { topicNames } from '../src/naming.js';
import { readEntity, type Entity } from '../src/notification.js';
import { invalidTenant, murmur2, partitionHash, router, type DataModel, type Router } from '../src/route.js';
import type { FiwareHeaders } from '../src/tenant.js';

describe('murmur2', () => {
  // From Apache Kafka's UtilsTest.
  test.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('%s', (text, hash) => {
    expect(murmur2(text)).toBe(hash);
    expect(partitionHash(text)).toBe(hash & 0x7fffffff);
  });

  test('is over UTF-8 bytes, however many', () => {
    const long = 'ñ'.repeat(5000);
    // An independent implementation over bytes.
    const reference = (bytes: Uint8Array): number => {
      let h = (0x9747b28c ^ bytes.length) | 0;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      let at = 0;
      for (; at + 4 <= bytes.length; at += 4) {
        let k = Math.imul(view.getInt32(at, true), 0x5bd1e995);
        k = Math.imul(k ^ (k >>> 24), 0x5bd1e995);
        h = Math.imul(h, 0x5bd1e995) ^ k;
      }
      const rest = [...bytes.subarray(at)];
      if (rest.length > 0) {
        rest.forEach((value, place) => (h ^= value << (8 * place)));
        h = Math.imul(h, 0x5bd1e995);
      }
      h = Math.imul(h ^ (h >>> 13), 0x5bd1e995);
      return h ^ (h >>> 15);
    };
    for (const text of ['', 'é', '東京', '🌍x', 'İI', 'a', 'ab', 'abcde', long]) {
      expect(murmur2(text)).toBe(reference(new TextEncoder().encode(text)));
    }
  });
});

function lastdataRouter(dataModel: DataModel): Router {
  const names = topicNames({ naming: 'default', prefix: '', suffix: '', agent: 'lastdata' });
  return router({
    names,
    agent: 'lastdata',
    suffix: '_lastdata',
    dataModel,
    defaults: { service: 'default', servicepath: '/' },
  });
}

function headers(service?: string, servicepath?: string, datamodel?: string): FiwareHeaders {
  return { service, servicepath, correlator: undefined, datamodel };
}

function entity(id: string, type?: string): Entity {
  const read = readEntity(type === undefined ? { id } : { id, type });
  if (read.kind === 'refused') throw new Error(read.refusal.message);
  return read;
}

/** `target_table`, or the code of the refusal. */
function table(dataModel: DataModel, received: FiwareHeaders, type = 'My Type'): string {
  const routes = lastdataRouter(dataModel);
  const scope = routes.scope(received);
  if (scope.kind === 'refused') return scope.refusal.code;
  const route = routes.route(scope, entity('E1', type), undefined);
  if (route.kind === 'refused') return route.refusal.code;
  return String(route.headers.find((header) => 'target_table' in header)?.['target_table']);
}

describe('target_table', () => {
  test.each<[DataModel, string, string]>([
    ['dm-by-entity-type-database', '/Waste/City', 'svc.waste_city_my_type_lastdata'],
    ['dm-by-entity-type-database', '/', 'svc._my_type_lastdata'],
    ['dm-by-entity-type-database-schema', '/Waste/City', 'waste_city.waste_city_my_type_lastdata'],
    ['dm-by-entity-type-database-schema', '/', 'servicepath-missing'],
    ['dm-by-fixed-entity-type-database-schema', '/Waste/City', 'waste_city.my_type_lastdata'],
    ['dm-by-fixed-entity-type-database-schema', '/', 'servicepath-missing'],
    ['dm-postgis-errors', '/Waste/City', 'svc.svc_error_log'],
  ])('%s, service path %s: %s', (model, path, wanted) => expect(table(model, headers('svc', path))).toBe(wanted));

  test('the header of the record goes before the setting, in any case', () => {
    const received = headers('svc', '/p', ' DM-By-Fixed-Entity-Type-Database-Schema ');
    expect(table('dm-by-entity-type-database', received)).toBe('p.my_type_lastdata');
  });

  test('a header that is no data model leaves the setting', () => {
    expect(table('dm-by-fixed-entity-type-database-schema', headers('svc', '/p', 'DM-x'))).toBe('p.my_type_lastdata');
  });

  test('a table without a name is refused', () => {
    expect(table('dm-by-fixed-entity-type-database-schema', headers('svc', '/p'), '/')).toBe('table-missing');
  });
});

describe('routes', () => {
  test('headers in the order of SPEC 3', () => {
    const routes = lastdataRouter('dm-by-entity-type-database');
    const scope = routes.scope(headers('SVC', 'A/b/', 'DM x'));
    if (scope.kind === 'refused') throw new Error(scope.refusal.message);
    expect(scope).toMatchObject({ service: 'svc', servicepath: '/a/b/', topic: 'svc_lastdata' });
    expect(routes.route(scope, entity('urn:x:1'), 'corr')).toEqual({
      kind: 'route',
      topic: 'svc_lastdata',
      partitionHash: partitionHash('urn:x:1'),
      headers: [
        { 'fiware-service': 'svc' },
        { 'fiware-servicepath': 'a_b' },
        { 'fiware-datamodel': 'DM x' },
        { entityType: 'thing' },
        { entityId: 'urn_x_1' },
        { suffix: '_lastdata' },
        { target_table: 'svc.a_b_thing_lastdata' },
        { 'fiware-correlator': 'corr' },
      ],
    });
  });

  test('without a correlator there is no such header', () => {
    const routes = lastdataRouter('dm-by-entity-type-database');
    const scope = routes.scope(headers());
    if (scope.kind === 'refused') throw new Error(scope.refusal.message);
    const route = routes.route(scope, entity('E1'), undefined);
    expect(route.kind === 'route' && route.headers).toHaveLength(7);
  });

  test('missing and empty are the defaults', () => {
    const routes = lastdataRouter('dm-by-entity-type-database');
    for (const received of [headers(), headers('', '', '')]) {
      expect(routes.scope(received)).toMatchObject({ service: 'default', servicepath: '/', topic: 'default_lastdata' });
    }
  });

  test('what is remembered of one tenant is never another’s', () => {
    const routes = lastdataRouter('dm-by-entity-type-database');
    expect(routes.scope(headers('a', 'bc'))).toMatchObject({ service: 'a', servicepath: '/bc' });
    expect(routes.scope(headers('ab', 'c'))).toMatchObject({ service: 'ab', servicepath: '/c' });
    expect(routes.scope(headers('a', 'b', 'c'))).toMatchObject({ service: 'a', servicepath: '/b' });
    expect(routes.scope(headers('a', 'bc'))).toMatchObject({ service: 'a', servicepath: '/bc' });
  });

  test.each(['my-svc', 'my.svc', 'ñandú', 'a,b', 's'.repeat(51), 'town_lastdata', '../x', 'a b'])(
    'service %j is refused, under one label',
    (service) => {
      const scope = lastdataRouter('dm-by-entity-type-database').scope(headers(service, '/p'));
      expect(scope).toMatchObject({ kind: 'refused', tenant: invalidTenant, refusal: { code: 'service-invalid' } });
    },
  );
});

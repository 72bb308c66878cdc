import { hostname } from 'node:os';
import { describe, expect, test } from '@jest/globals';
import { ConfigurationError, loadConfig, runtimeSettings, settingsOf, settingsReference } from '../src/config.js';
import type { Environment } from '../src/config.js';
import { agent, brokers, failure, file, load } from './config-scene.js';

describe('defaults', () => {
  test('the brokers are all that is needed', () => {
    const { config } = load();
    expect(config).toMatchObject({
      kafkaBrokers: 'kafka:9092',
      kafkaSecurityProtocol: 'plaintext',
      groupId: 'ngsi-agent-historic',
      instanceId: hostname(),
      concurrency: 1,
      delivery: 'exactly-once',
      commitIntervalMs: 100,
      httpPort: 8080,
      topicReplication: -1,
      topicsCreate: true,
      kafkaConsumer: {},
      topicConfig: {},
      naming: 'default',
      tenants: [],
      ratio: 0.5,
    });
    expect(Object.keys(config).sort()).toEqual(Object.keys(settingsOf(agent)).sort());
  });

  test('without brokers the message says how to give them', () => {
    expect(() => load({})).toThrow(ConfigurationError);
    expect(() => load({})).toThrow(
      'configuration: kafkaBrokers is not set: it must be host:port, several separated by commas. ' +
        'Give it by KAFNUS_KAFKA_BROKERS, by --kafka-brokers or in the configuration file',
    );
  });

  test('every default is valid, apart from the required one', () => {
    for (const [key, setting] of Object.entries(runtimeSettings('x'))) {
      expect({ key, missing: setting.default === null }).toEqual({ key, missing: key === 'kafkaBrokers' });
    }
  });
});

describe('sources', () => {
  test('file < environment < arguments, and the source is told', () => {
    const path = file('httpPort: 1\ncommitIntervalMs: 1\nbatchSize: 1\n');
    const env = { ...brokers, KAFNUS_CONFIG: path, KAFNUS_COMMIT_INTERVAL_MS: '2', KAFNUS_BATCH_SIZE: '2' };
    const { config, printable } = load(env, ['--batch-size', '3']);
    expect([config.httpPort, config.commitIntervalMs, config.batchSize]).toEqual([1, 2, 3]);
    expect(printable['httpPort']).toEqual({ value: 1, source: `file ${path}` });
    expect(printable['commitIntervalMs']).toEqual({
      value: 2,
      source: 'environment variable KAFNUS_COMMIT_INTERVAL_MS',
    });
    expect(printable['batchSize']).toEqual({ value: 3, source: 'argument --batch-size' });
    expect(printable['logLevel']).toEqual({ value: 'info', source: 'default' });
  });

  test('--config wins over KAFNUS_CONFIG, and takes YAML and JSON', () => {
    const yaml = file('kafkaBrokers: [a:1, b:2]\nkafkaConsumer: {queued.min.messages: 7}\ntenants: [x, y]\n');
    const json = file('{"kafkaBrokers": "c:3", "httpPort": "81", "topicsCreate": false}', 'json');
    expect(load({ KAFNUS_CONFIG: json }, [`--config=${yaml}`]).config).toMatchObject({
      kafkaBrokers: 'a:1,b:2',
      kafkaConsumer: { 'queued.min.messages': 7 },
      tenants: ['x', 'y'],
    });
    expect(load({ KAFNUS_CONFIG: json }).config).toMatchObject({
      kafkaBrokers: 'c:3',
      httpPort: 81,
      topicsCreate: false,
    });
  });

  test('an empty file and null values leave the defaults', () => {
    expect(load({ ...brokers, KAFNUS_CONFIG: file('') }).config.httpPort).toBe(8080);
    expect(load({ ...brokers, KAFNUS_CONFIG: file('httpPort:\n') }).config.httpPort).toBe(8080);
  });

  test('arguments: both forms, values that start with a dash, flags, the last wins', () => {
    const argv = [
      '--kafka-brokers=x:1',
      '--topic-replication',
      '-1',
      '--topics-create',
      '--concurrency',
      '2',
      '--concurrency=3',
      '--the-ratio=1e-3',
    ];
    expect(load({ KAFNUS_TOPICS_CREATE: 'false' }, argv).config).toMatchObject({
      kafkaBrokers: 'x:1',
      topicReplication: -1,
      topicsCreate: true,
      concurrency: 3,
      ratio: 0.001,
    });
  });

  test('an empty variable counts as not set', () => {
    expect(
      load({ ...brokers, KAFNUS_GROUP_ID: '', KAFNUS_KAFKA_SASL_PASSWORD_FILE: '', KAFNUS_CONFIG: '' }).config.groupId,
    ).toBe('ngsi-agent-historic');
  });

  test('allowed words in any case', () => {
    const env = { ...brokers, KAFNUS_DELIVERY: 'At-Least-Once', KAFNUS_LOG_LEVEL: 'DEBUG', KAFNUS_TOPICS_CREATE: 'No' };
    expect(load(env).config).toMatchObject({ delivery: 'at-least-once', logLevel: 'debug', topicsCreate: false });
  });

  test('lists and objects from text', () => {
    const env = {
      ...brokers,
      KAFNUS_TENANTS: ' a, b ,,c',
      KAFNUS_TOPIC_CONFIG: '{"retention.ms": 5, "cleanup.policy": "delete"}',
    };
    expect(load(env).config).toMatchObject({
      tenants: ['a', 'b', 'c'],
      topicConfig: { 'retention.ms': 5, 'cleanup.policy': 'delete' },
    });
  });
});

describe('mistakes stop the start', () => {
  test.each<[string, Environment, string[], string]>([
    [
      'unknown argument',
      {},
      ['--htp-port', '1'],
      'unknown argument "--htp-port"; did you mean http-port? (--help lists all)',
    ],
    ['positional argument', {}, ['start'], 'unknown argument "start" (--help lists all)'],
    ['argument without value', {}, ['--http-port'], 'the argument --http-port has no value: write --http-port=VALUE'],
    [
      'argument followed by another',
      {},
      ['--group-id', '--topics-create'],
      'the argument --group-id has no value: write --group-id=VALUE',
    ],
    [
      'unknown variable',
      { KAFNUS_KAFKA_BROKER: 'x' },
      [],
      'unknown environment variable KAFNUS_KAFKA_BROKER; did you mean KAFNUS_KAFKA_BROKERS? (--help lists all)',
    ],
    [
      '_FILE of what is no secret',
      { KAFNUS_GROUP_ID_FILE: '/x' },
      [],
      'unknown environment variable KAFNUS_GROUP_ID_FILE',
    ],
    [
      'number',
      { KAFNUS_HTTP_PORT: '80a' },
      [],
      'configuration: httpPort: "80a" of the environment variable KAFNUS_HTTP_PORT is not valid: it must be a port number, 0 to 65535',
    ],
    [
      'port range',
      {},
      ['--http-port=65536'],
      'httpPort: "65536" of the argument --http-port is not valid: it must be a port number',
    ],
    ['negative', { KAFNUS_BATCH_SIZE: '-1' }, [], 'it must be a whole number, 1 or more'],
    ['zero', { KAFNUS_CONCURRENCY: '0' }, [], 'it must be a whole number, 1 or more'],
    [
      'timer overflow',
      { KAFNUS_STALL_TIMEOUT_MS: '2147483648' },
      [],
      'it must be a whole number of milliseconds, 1 to 2147483647',
    ],
    [
      'no replicas',
      { KAFNUS_TOPIC_REPLICATION: '0' },
      [],
      "it must be a number of replicas, 1 or more, or -1 for the broker's default",
    ],
    [
      'word',
      { KAFNUS_DELIVERY: 'maybe' },
      [],
      'delivery: "maybe" of the environment variable KAFNUS_DELIVERY is not valid: it must be one of exactly-once, at-least-once',
    ],
    ['boolean', { KAFNUS_TOPICS_CREATE: 'maybe' }, [], 'it must be true or false'],
    ['broker without port', { KAFNUS_KAFKA_BROKERS: 'kafka' }, [], 'it must be host:port, several separated by commas'],
    ['broker port', { KAFNUS_KAFKA_BROKERS: 'kafka:70000' }, [], 'it must be host:port'],
    ['only commas', { KAFNUS_KAFKA_BROKERS: ' , ' }, [], 'it must be host:port'],
    ['group', { KAFNUS_GROUP_ID: 'a b' }, [], 'it must be 1 to 200 letters, digits, dots, dashes and underscores'],
    [
      'number of the agent',
      {},
      ['--the-ratio=NaN'],
      'ratio: "NaN" of the argument --the-ratio is not valid: it must be a number',
    ],
    [
      'JSON',
      { KAFNUS_KAFKA_CONSUMER: '{"a": 1,}' },
      [],
      'kafkaConsumer: the value of the environment variable KAFNUS_KAFKA_CONSUMER is not valid: it is not JSON: an unexpected character at position 8',
    ],
    ['JSON cut', { KAFNUS_KAFKA_PRODUCER: '{"a": 1' }, [], 'it is not JSON: the text ends too early at position 7'],
    ['JSON, but no object', { KAFNUS_KAFKA_PRODUCER: '[1]' }, [], 'it must be a JSON object'],
    [
      'nested property',
      { KAFNUS_TOPIC_CONFIG: '{"a": {"b": 1}}' },
      [],
      'the property "a" must be a text, a number, true or false',
    ],
    [
      'missing file',
      { KAFNUS_CONFIG: '/nowhere.yaml' },
      [],
      'the configuration file cannot be read: /nowhere.yaml (ENOENT)',
    ],
    [
      'missing secret file',
      { KAFNUS_ADMIN_TOKEN_FILE: '/nowhere' },
      [],
      'adminToken: the file of KAFNUS_ADMIN_TOKEN_FILE cannot be read: /nowhere (ENOENT)',
    ],
    [
      'Kubernetes link in place of a port',
      { KAFNUS_HTTP_PORT: 'tcp://10.0.0.1:8080' },
      [],
      'set enableServiceLinks: false for the pod',
    ],
  ])('%s', (_name, env, argv, message) => {
    expect(failure(env, argv)).toContain(message);
  });

  test.each<[string, string, string]>([
    ['unknown key', 'htpPort: 1', 'unknown key "htpPort" in the file PATH; did you mean httpPort? (--help lists all)'],
    ['prototype', '__proto__: {a: 1}', 'unknown key "__proto__" in the file PATH'],
    ['inherited name', 'constructor: 1', 'unknown key "constructor" in the file PATH'],
    [
      'number for a text',
      'groupId: 12',
      'groupId: 12 of the file PATH is not valid: it must be 1 to 200 letters, digits',
    ],
    [
      'text list for a number',
      'httpPort: [1]',
      'httpPort: [1] of the file PATH is not valid: it must be a port number',
    ],
    ['number in a list', 'tenants: [1]', 'tenants: [1] of the file PATH is not valid: it must be a list of texts'],
    ['list at the top', '- a', 'the configuration file PATH must be a mapping of keys to values'],
    ['broken YAML', 'a: b: c', 'the configuration file PATH is not sound YAML: see line 1, column'],
    [
      'repeated key',
      'httpPort: 1\nhttpPort: 2',
      'the configuration file PATH is not sound YAML: see line 2, column 1 (DUPLICATE_KEY)',
    ],
  ])('in a file: %s', (_name, content, message) => {
    const path = file(content);
    expect(failure({ KAFNUS_CONFIG: path })).toContain(message.replace('PATH', path));
  });

  test('broken JSON in a file: its line and column', () => {
    const path = file('{\n  "httpPort": 1\n  "batchSize": 2\n}', 'json');
    expect(failure({ KAFNUS_CONFIG: path })).toBe(
      `configuration: the configuration file ${path} is not JSON: see line 3, column 3`,
    );
  });

  test('all problems at once', () => {
    expect(failure({ KAFNUS_HTTP_PORT: 'x', KAFNUS_NO: '1' }, ['--no'])).toBe(
      'configuration: 3 problems:\n' +
        '  - unknown argument "--no" (--help lists all)\n' +
        '  - unknown environment variable KAFNUS_NO (--help lists all)\n' +
        '  - httpPort: "x" of the environment variable KAFNUS_HTTP_PORT is not valid: it must be a port number, 0 to 65535',
    );
  });

  test('a long value is cut, and control characters are escaped', () => {
    expect(failure({ KAFNUS_GROUP_ID: `\u001b[2J${'x'.repeat(1000)}` })).toMatch(/"\\u001b\[2Jx{50,80}\.\.\. of the/);
  });
});

describe('variables of others', () => {
  test('settings of other agents of the suite are no mistakes', () => {
    expect(load({ ...brokers, KAFNUS_MISSING_TIME_INSTANT: 'reject', KAFNUS_SINK: 'kafnus' }).config.kafkaBrokers).toBe(
      'kafka:9092',
    );
  });

  test('Kubernetes service links are no settings', () => {
    const links = {
      KAFNUS_HISTORIC_SERVICE_HOST: '10.0.0.1',
      KAFNUS_HISTORIC_SERVICE_PORT: '8080',
      KAFNUS_HISTORIC_SERVICE_PORT_HTTP: '8080',
      KAFNUS_HISTORIC_PORT: 'tcp://10.0.0.1:8080',
      KAFNUS_HISTORIC_PORT_8080_TCP: 'tcp://10.0.0.1:8080',
      KAFNUS_HISTORIC_PORT_8080_TCP_ADDR: '10.0.0.1',
    };
    expect(load({ ...brokers, ...links }).config.httpPort).toBe(8080);
    expect(failure({ ...links, KAFNUS_HISTORIC_SERVICE_HOST: undefined })).toContain(
      'unknown environment variable KAFNUS_HISTORIC_PORT',
    );
  });
});

describe('values that do not fit together', () => {
  test.each<[Environment, string]>([
    [
      { KAFNUS_KAFKA_SECURITY_PROTOCOL: 'sasl_ssl' },
      'kafkaSaslMechanism is not set, and the protocol sasl_ssl needs it',
    ],
    [
      {
        KAFNUS_KAFKA_SECURITY_PROTOCOL: 'sasl_ssl',
        KAFNUS_KAFKA_SASL_MECHANISM: 'PLAIN',
        KAFNUS_KAFKA_SASL_PASSWORD: 'p',
      },
      'kafkaSaslUsername is not set, and PLAIN needs it',
    ],
    [
      {
        KAFNUS_KAFKA_SECURITY_PROTOCOL: 'sasl_ssl',
        KAFNUS_KAFKA_SASL_MECHANISM: 'PLAIN',
        KAFNUS_KAFKA_SASL_USERNAME: 'u',
      },
      'kafkaSaslPassword is not set, and PLAIN needs it',
    ],
    [
      { KAFNUS_KAFKA_SASL_USERNAME: 'u' },
      'kafkaSecurityProtocol is plaintext, which would leave the SASL user and password unused',
    ],
    [{ KAFNUS_KAFKA_SSL_CA: '/ca' }, 'kafkaSecurityProtocol is plaintext, which would leave kafkaSslCa unused'],
    [
      { KAFNUS_KAFKA_SECURITY_PROTOCOL: 'ssl', KAFNUS_KAFKA_SSL_CA: '/nowhere' },
      'nor a file that can be read: "/nowhere"',
    ],
    [
      { KAFNUS_KAFKA_SECURITY_PROTOCOL: 'ssl', KAFNUS_KAFKA_SSL_CERTIFICATE: '-----BEGIN CERTIFICATE-----' },
      'kafkaSslCertificate and kafkaSslKey belong together',
    ],
    [{ KAFNUS_COMMIT_INTERVAL_MS: '5001' }, 'commitIntervalMs is 5001, more than half of transactionTimeoutMs (10000)'],
    [{ KAFNUS_TOPIC_CONFIG: '{"cleanup.policy": "compact,delete"}' }, 'cleanup.policy must not be "compact,delete"'],
  ])('%j', (env, message) => {
    expect(failure(env)).toContain(message);
  });

  test('a long commit interval is fine without transactions', () => {
    expect(
      load({ ...brokers, KAFNUS_COMMIT_INTERVAL_MS: '5001', KAFNUS_DELIVERY: 'at-least-once' }).config.commitIntervalMs,
    ).toBe(5001);
  });

  test('an agent cannot take a name of the runtime', () => {
    const taken = { mine: { doc: '', format: 'String', default: '', env: 'KAFNUS_GROUP_ID' } };
    expect(() => settingsOf({ name: 'x', settings: taken })).toThrow(
      'the setting KAFNUS_GROUP_ID of the agent x is the runtime',
    );
  });
});

describe('help and version', () => {
  test('--help lists every setting, and needs no valid configuration', () => {
    const outcome = loadConfig(agent, { argv: ['--nonsense', '--help'], env: { KAFNUS_NONSENSE: '1' } });
    if (outcome.kind !== 'help') throw new Error(outcome.kind);
    for (const row of settingsReference(settingsOf(agent))) {
      expect(outcome.text).toContain(`${row.argument}  ${row.env}`);
      expect(outcome.text).toContain(row.doc);
    }
    expect(outcome.text).toContain('KAFNUS_KAFKA_SASL_PASSWORD_FILE');
  });

  test('--version', () => {
    expect(loadConfig(agent, { argv: ['--version'], env: {}, version: '1.2.3' })).toEqual({
      kind: 'version',
      text: 'historic 1.2.3',
    });
  });
});

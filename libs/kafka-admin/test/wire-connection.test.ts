/** Kafka's protocol by our own connection, without a broker: test/integration has real ones. */
import { afterEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import type { KafkaConnectionConfig } from '../src/connection-config.js';
import { connectionTo } from './plain-connection.js';
import { ByteReader, ByteWriter } from '../src/wire/protocol-bytes.js';
import { readConfigs } from '../src/wire/resource-configs.js';
import { WireConnection } from '../src/wire/wire-connection.js';
import { fetchCommitted } from '../src/wire/fetch-committed.js';
import { canLogIn, logIn } from '../src/wire/sasl-login.js';

const servers: Server[] = [];
afterEach(() => servers.splice(0).forEach((server) => server.close()));

async function listening(server: Server): Promise<number> {
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

describe('bytes', () => {
  test('what is written is read', () => {
    const value = fc.record({
      text: fc.string({ unit: 'binary', maxLength: 300 }),
      bytes: fc.uint8Array(),
      numbers: fc.array(fc.integer()),
      small: fc.integer({ min: -128, max: 127 }),
      short: fc.integer({ min: -32_768, max: 32_767 }),
      flag: fc.boolean(),
    });
    fc.assert(
      fc.property(value, ({ text, bytes, numbers, small, short, flag }) => {
        const writer = new ByteWriter().string(text).bytes(Buffer.from(bytes)).int8(small).int16(short).boolean(flag);
        const reader = new ByteReader(writer.array(numbers, (number) => writer.int32(number)).toBuffer());
        expect(reader.string()).toBe(Buffer.from(text).toString());
        expect([...reader.bytes()]).toEqual([...bytes]);
        expect([reader.int8(), reader.int16(), reader.boolean()]).toEqual([small, short, flag]);
        expect(reader.array(() => reader.int32())).toEqual(numbers);
        expect(() => reader.int8()).toThrow('ends too early');
      }),
    );
  });

  test('an answer that is cut, or no answer at all, is an error and nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const reader = new ByteReader(Buffer.from(bytes));
        try {
          reader.array(() => [reader.nullableString(), reader.bytes(), reader.array(() => reader.string())]);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });
});

/** The broker's side of RFC 5802, as far as a password and a user name go. */
function scramServer(hash: string, password: string, knows = true): (message: Buffer) => Promise<Buffer> {
  const hmac = (key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest();
  const salted = pbkdf2Sync(password, 'salt', 4096, createHash(hash).digest().length, hash);
  let first = '';
  let challenge = '';
  return async (message) => {
    const text = message.toString();
    if (first === '') {
      first = text.replace(/^n,,/, '');
      const nonce = /r=(.*)$/.exec(first)?.[1] ?? '';
      challenge = `r=${nonce}server,s=${Buffer.from('salt').toString('base64')},i=4096`;
      return Buffer.from(challenge);
    }
    const [, withoutProof = '', proof = ''] = /^(.*),p=(.*)$/.exec(text) ?? [];
    const messages = `${first},${challenge},${withoutProof}`;
    const stored = createHash(hash).update(hmac(salted, 'Client Key')).digest();
    const signature = hmac(stored, messages);
    const key = Buffer.from(proof, 'base64').map((byte, index) => byte ^ (signature[index] ?? 0));
    if (!createHash(hash).update(key).digest().equals(stored)) throw new Error('wrong password');
    const server = knows ? hmac(hmac(salted, 'Server Key'), messages) : Buffer.alloc(stored.length);
    return Buffer.from(`v=${server.toString('base64')}`);
  };
}

describe('login', () => {
  const user = (mechanism: KafkaConnectionConfig['kafkaSaslMechanism']): KafkaConnectionConfig =>
    connectionTo('localhost:1', {
      kafkaSecurityProtocol: 'sasl_plaintext',
      kafkaSaslMechanism: mechanism,
      kafkaSaslUsername: 'a=b,c',
      kafkaSaslPassword: 'pencil',
    });

  test.each([
    ['SCRAM-SHA-256', 'sha256'],
    ['SCRAM-SHA-512', 'sha512'],
  ] as const)('%s', async (mechanism, hash) => {
    const messages: string[] = [];
    const server = scramServer(hash, 'pencil');
    await logIn(user(mechanism), (message) => {
      messages.push(message.toString());
      return server(message);
    });
    expect(messages[0]).toMatch(/^n,,n=a=3Db=2Cc,r=[A-Za-z0-9+/]{32}$/);
    expect(messages.join(' ')).not.toContain('pencil');
    await expect(logIn(user(mechanism), scramServer(hash, 'pen'))).rejects.toThrow('wrong password');
  });

  test('a broker that does not know the password is none of the cluster', async () => {
    await expect(logIn(user('SCRAM-SHA-256'), scramServer('sha256', 'pencil', false))).rejects.toThrow(
      'the broker does not know the password itself',
    );
  });

  test.each(['', 'r=other,s=c2FsdA==,i=4096', 'r={nonce},s=c2FsdA==,i=1', 'r={nonce},s=c2FsdA==,i=999999999'])(
    'a challenge that RFC 5802 does not allow, %j, is refused at once',
    async (challenge) => {
      const answer = async (message: Buffer): Promise<Buffer> =>
        Buffer.from(challenge.replace('{nonce}', /r=(.*)$/.exec(message.toString())?.[1] ?? ''));
      await expect(logIn(user('SCRAM-SHA-512'), answer)).rejects.toThrow('does not follow RFC 5802');
    },
  );

  test('Kerberos is not spoken', () => {
    expect(canLogIn('GSSAPI')).toBe(false);
    expect(canLogIn('PLAIN')).toBe(true);
  });

  test('a token is fetched, and its endpoint named when there is none', async () => {
    const answers = [
      [200, '{"access_token": "t0ken", "expires_in": 300}'],
      [401, '{"error": "invalid_client", "hint": "hunter2"}'],
      [200, 'no JSON: hunter2'],
    ] as const;
    let asked = 0;
    const http = createHttpServer((request, response) => {
      const [status, body] = answers[asked] ?? [500, ''];
      asked += 1;
      expect(request.headers.authorization).toBe(`Basic ${Buffer.from('me:s3cret').toString('base64')}`);
      response.writeHead(status).end(body);
    });
    const url = `http://127.0.0.1:${await listening(http)}/token`;
    const oauth = connectionTo('localhost:1', {
      kafkaSecurityProtocol: 'sasl_plaintext',
      kafkaSaslMechanism: 'OAUTHBEARER',
      kafkaOauthTokenUrl: url,
      kafkaOauthClientId: 'me',
      kafkaOauthClientSecret: 's3cret',
    });
    const sent: string[] = [];
    const exchange = async (message: Buffer): Promise<Buffer> => {
      sent.push(message.toString());
      return Buffer.alloc(0);
    };
    await logIn(oauth, exchange);
    expect(sent).toEqual(['n,,\u0001auth=Bearer t0ken\u0001\u0001']);
    await expect(logIn(oauth, exchange)).rejects.toThrow(`no token from ${url}: it answered 401`);
    await expect(logIn(oauth, exchange)).rejects.toThrow(`no token from ${url}: its answer holds no access_token`);
    expect(sent).toHaveLength(1);
  });
});

describe('the connection', () => {
  test('the first broker that answers is taken, and an answer may come in pieces', async () => {
    const port = await listening(
      createServer((socket) => {
        socket.on('data', (request: Buffer) => {
          // Nobody is throttled, and there is no resource.
          const answer = new ByteWriter().bytes(Buffer.concat([request.subarray(8, 12), Buffer.alloc(8)])).toBuffer();
          for (const byte of answer) socket.write(Buffer.from([byte]));
        });
      }),
    );
    const connection = await WireConnection.open(connectionTo(`127.0.0.1:1,127.0.0.1:${port}`), 'test');
    expect(await readConfigs(connection, [], [])).toEqual([]);
    expect(await readConfigs(connection, [], [])).toEqual([]);
    connection.close();
    await expect(readConfigs(connection, [], [])).rejects.toThrow();
  });

  test('what is not Kafka is told as such, and a connection that breaks off does not hang', async () => {
    const http = await listening(createServer((socket) => socket.on('data', () => socket.write('HTTP/1.1 400 Bad'))));
    const web = await WireConnection.open(connectionTo(`127.0.0.1:${http}`), 'test');
    await expect(readConfigs(web, [], [])).rejects.toThrow(
      'what answers is not Kafka, or wants another security protocol',
    );
    const gone = await listening(createServer((socket) => socket.on('data', () => socket.destroy())));
    const broken = await WireConnection.open(connectionTo(`127.0.0.1:${gone}`), 'test');
    await expect(readConfigs(broken, [], [])).rejects.toThrow('the broker closed the connection');
  });

  test('a request that has no answer yet keeps its place: another one is refused until then', async () => {
    let arrived: (answer: () => void) => void = () => undefined;
    const asked = new Promise<() => void>((resolve) => (arrived = resolve));
    const port = await listening(
      createServer((socket) => {
        socket.on('data', (request: Buffer) => {
          const bytes = new ByteWriter().bytes(Buffer.concat([request.subarray(8, 12), Buffer.alloc(8)])).toBuffer();
          arrived(() => void socket.write(bytes));
        });
      }),
    );
    const connection = await WireConnection.to(connectionTo('localhost:1'), 'test', { host: '127.0.0.1', port });
    const first = readConfigs(connection, [], []);
    await expect(readConfigs(connection, [], [])).rejects.toThrow('has no answer yet');
    (await asked)();
    expect(await first).toEqual([]);
    connection.close();
  });

  test('an answer to something else ends the connection: what follows it would be as wrong', async () => {
    const port = await listening(
      createServer((socket) => {
        const stale = new ByteWriter().bytes(Buffer.from([0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0, 0])).toBuffer();
        socket.on('data', () => socket.write(stale));
      }),
    );
    const connection = await WireConnection.to(connectionTo('localhost:1'), 'test', { host: '127.0.0.1', port });
    await expect(readConfigs(connection, [], [])).rejects.toThrow('not one to the request');
    await expect(readConfigs(connection, [], [])).rejects.toThrow('not one to the request');
  });

  test('a signal ends a login that gets no answer, and a request', async () => {
    const port = await listening(createServer());
    const secured = {
      kafkaSecurityProtocol: 'sasl_plaintext',
      kafkaSaslMechanism: 'PLAIN',
      kafkaSaslUsername: 'user',
      kafkaSaslPassword: 'password',
    } as const;
    const address = { host: '127.0.0.1', port };
    const ended = 'the connection is not needed any more';
    const login = new AbortController();
    const refused = WireConnection.to(connectionTo(`127.0.0.1:${port}`, secured), 'test', address, login.signal);
    login.abort();
    await expect(refused).rejects.toThrow(ended);
    const request = new AbortController();
    const connection = await WireConnection.to(connectionTo('localhost:1'), 'test', address, request.signal);
    const asked = readConfigs(connection, [], []);
    request.abort();
    await expect(asked).rejects.toThrow(ended);
    await expect(WireConnection.to(connectionTo('localhost:1'), 'test', address, request.signal)).rejects.toThrow(
      'aborted',
    );
  });

  test('a broker that throttles sends no records, and says so by leaving the partition out', async () => {
    const answers = [100, 0].map((throttledMs) =>
      new ByteWriter()
        .int32(throttledMs)
        .int16(0)
        .int32(0)
        .array([], () => undefined),
    );
    const port = await listening(
      createServer((socket) => {
        socket.on('data', (request: Buffer) => {
          const body = answers.shift()?.toBuffer() ?? Buffer.alloc(0);
          socket.write(new ByteWriter().bytes(Buffer.concat([request.subarray(8, 12), body])).toBuffer());
        });
      }),
    );
    const connection = await WireConnection.to(connectionTo('localhost:1'), 'test', { host: '127.0.0.1', port });
    const partition = { topic: 't', partition: 0 };
    expect(await fetchCommitted(connection, partition, 7, 1000)).toMatchObject({ lastStableOffset: -1, aborted: [] });
    await expect(fetchCommitted(connection, partition, 7, 1000)).rejects.toThrow('left the partition out');
    connection.close();
  });

  test('nobody there: all brokers are named, with the last reason', async () => {
    const brokers = '127.0.0.1:1,127.0.0.1:2';
    await expect(WireConnection.open(connectionTo(brokers), 'test')).rejects.toThrow(
      /^No Kafka answers at 127\.0\.0\.1:1,127\.0\.0\.1:2: connect ECONNREFUSED 127\.0\.0\.1:2$/,
    );
  });
});

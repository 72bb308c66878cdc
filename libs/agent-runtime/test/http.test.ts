import { once } from 'node:events';
import { Agent, createServer, request, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from '@jest/globals';

import { createHttp } from '../src/http.js';
import { limitConnections } from '../src/http-connections.js';
import type { HttpOptions, HttpServer } from '../src/http.js';
import { Telemetry } from '../src/telemetry.js';
import type { AgentStatus } from '../src/status.js';

const status: AgentStatus = {
  agent: 'historic',
  instance: 'i1',
  version: '1.2.3',
  state: 'running',
  since: '2023-11-14T22:13:20.000Z',
  problem: null,
  stalled: false,
  assignment: [],
  lag: 0,
  lastCommit: null,
  stateEntries: null,
  ledger: { read: 0, emitted: 0, rekeyed: 0, skipped: {}, rejected: {}, tenants: {} },
};

const open: HttpServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

interface Answer {
  readonly code: number;
  readonly body: unknown;
  readonly text: string;
  readonly headers: Headers;
}

async function serve(more: Partial<HttpOptions> = {}) {
  const lines: string[] = [];
  const telemetry = new Telemetry({
    agent: 'historic',
    instance: 'i1',
    version: '1.2.3',
    level: 'info',
    maxTenantLabels: 10,
    processMetrics: false,
    destination: { write: (line: string) => void lines.push(line) },
  });
  const server = createHttp({
    status: () => status,
    ready: () => ({ ready: true, reason: 'running' }),
    live: () => ({ live: true, reason: 'running' }),
    telemetry,
    printableConfig: { kafkaSaslPassword: { value: '***', source: 'default' } },
    adminToken: '',
    host: '127.0.0.1',
    port: 0,
    ...more,
  });
  open.push(server);
  const { port } = await server.listen();
  const call = async (path: string, init: RequestInit = {}): Promise<Answer> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
    const text = await response.text();
    const json = response.headers.get('content-type')?.startsWith('application/json') === true;
    const body: unknown = json ? JSON.parse(text) : text;
    return { code: response.status, body, text, headers: response.headers };
  };
  const put = (body: string, headers: Record<string, string> = {}): Promise<Answer> =>
    call('/loglevel', { method: 'PUT', body, headers: { 'content-type': 'application/json', ...headers } });
  return { server, telemetry, lines, port, call, put };
}

const debug = '{"level":"debug"}';

describe('reads', () => {
  test('live and ready answer 200 or 503, with the reason', async () => {
    let good = true;
    const { call } = await serve({
      ready: () => ({ ready: good, reason: good ? 'running' : 'restoring' }),
      live: () => ({ live: good, reason: good ? 'running' : 'stalled' }),
    });
    expect(await call('/live')).toMatchObject({ code: 200, body: { live: true, reason: 'running' } });
    expect(await call('/ready')).toMatchObject({ code: 200, body: { ready: true, reason: 'running' } });
    good = false;
    expect(await call('/live')).toMatchObject({ code: 503, body: { live: false, reason: 'stalled' } });
    expect(await call('/ready')).toMatchObject({ code: 503, body: { ready: false, reason: 'restoring' } });
  });

  test('health, config, log level', async () => {
    const { call } = await serve();
    expect((await call('/health')).body).toEqual(status);
    expect((await call('/config')).body).toEqual({ kafkaSaslPassword: { value: '***', source: 'default' } });
    expect((await call('/loglevel')).body).toEqual({ level: 'info' });
  });

  test('metrics in the text format of Prometheus', async () => {
    const { call, telemetry } = await serve();
    telemetry.topicCreated('t');
    const { code, text, headers } = await call('/metrics');
    expect(code).toBe(200);
    expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(text).toContain('kafnus_topics_created_total{agent="historic"} 1');
  });

  test('other routes and methods: 404 with the list', async () => {
    const { call } = await serve();
    for (const [path, method] of [
      ['/index.html', 'GET'],
      ['/', 'POST'],
      ['/live', 'DELETE'],
      ['/%00', 'GET'],
    ] as const) {
      const { code, body } = await call(path, { method });
      expect(code).toBe(404);
      expect(body).toMatchObject({
        error: 'no such route',
        routes: expect.arrayContaining(['GET /health', 'PUT /loglevel']),
      });
    }
  });

  test('a fault of ours is logged, and its text stays here', async () => {
    const { call, lines } = await serve({
      status: () => {
        throw new Error('s3cret detail');
      },
    });
    const { code, text } = await call('/health');
    expect(code).toBe(500);
    expect(JSON.parse(text)).toEqual({ error: 'internal error; the log says more' });
    expect(lines.join('')).toContain('s3cret detail');
  });
});

describe('the log level', () => {
  test('can be set on a loopback address without token', async () => {
    const { put, telemetry } = await serve();
    expect(await put(debug)).toMatchObject({ code: 200, body: { level: 'debug' } });
    expect(telemetry.logger.level).toBe('debug');
  });

  test('cannot be set beyond loopback without token', async () => {
    const { put, telemetry } = await serve({ host: '0.0.0.0' });
    const { code, text } = await put(debug);
    expect(code).toBe(403);
    expect(text).toContain('Set KAFNUS_ADMIN_TOKEN');
    expect(telemetry.logger.level).toBe('info');
  });

  test.each(['127.0.0.1', '0.0.0.0'])('needs the token when there is one: %s', async (host) => {
    const { put, telemetry } = await serve({ host, adminToken: 's3cret' });
    for (const authorization of [
      '',
      'Bearer',
      'Bearer wrong',
      'Bearer s3cre',
      'Bearer s3cret2',
      'Basic s3cret',
      's3cret',
    ]) {
      const { code, text, headers } = await put(debug, authorization === '' ? {} : { authorization });
      expect([authorization, code, headers.get('www-authenticate')]).toEqual([authorization, 401, 'Bearer']);
      expect(text).not.toContain('s3cret');
    }
    expect(telemetry.logger.level).toBe('info');
    expect((await put(debug, { authorization: 'bearer s3cret' })).code).toBe(200);
    expect(telemetry.logger.level).toBe('debug');
  });

  test('who may not write is told so before the body is read', async () => {
    const { put } = await serve({ adminToken: 's3cret' });
    expect((await put('x'.repeat(5000))).code).toBe(401);
  });

  test.each<[string, string, number]>([
    ['unknown level', '{"level":"loud"}', 400],
    ['number', '{"level":1}', 400],
    ['null', 'null', 400],
    ['list', '["debug"]', 400],
    ['nothing', '{}', 400],
    ['more members', '{"level":"debug","x":1}', 400],
    ['no JSON', '{"level"', 400],
    ['empty', '', 400],
    ['prototype', '{"level":"debug","__proto__":{"x":1}}', 400],
    ['too large', `{"level":"${'x'.repeat(2000)}"}`, 413],
  ])('refuses %s', async (_name, body, expected) => {
    const { put, telemetry } = await serve();
    const { code, body: answer, text } = await put(body);
    expect(code).toBe(expected);
    expect(answer).toEqual({ error: expect.any(String) });
    expect(text).not.toContain(' at ');
    expect(telemetry.logger.level).toBe('info');
  });

  test('says what is allowed, and takes JSON only', async () => {
    const { put } = await serve();
    expect((await put('{"level":"loud"}')).text).toContain('trace, debug, info, warn, error, fatal, silent');
    expect((await put(debug, { 'content-type': 'text/html' })).code).toBe(415);
  });
});

describe('the server', () => {
  test('says which address and settings are at fault when it cannot listen', async () => {
    const { port } = await serve();
    await expect(serve({ port })).rejects.toThrow(
      `cannot listen on 127.0.0.1:${port} (KAFNUS_HTTP_HOST, KAFNUS_HTTP_PORT): `,
    );
  });

  test('close ends kept connections at once', async () => {
    const { server, port } = await serve();
    const agent = new Agent({ keepAlive: true });
    await new Promise<void>((resolve, reject) => {
      request({ port, host: '127.0.0.1', path: '/live', agent }, (response) => response.resume().on('end', resolve))
        .on('error', reject)
        .end();
    });
    // A client that began a request and never ends it.
    const slow = connect(port, '127.0.0.1');
    slow.on('error', () => undefined);
    await new Promise<void>((resolve) => slow.write('PUT /loglevel HTTP/1.1\r\nHost: x\r\n', () => resolve()));
    const closed = new Promise((resolve) => slow.once('close', resolve));
    const started = performance.now();
    await server.close();
    await closed;
    expect(performance.now() - started).toBeLessThan(2000);
    agent.destroy();
  });

  test('probes are answered within a second, whoever holds connections open: idle ones, and requests that do not come to an end', async () => {
    const { port, call } = await serve();
    const held: Socket[] = [];
    const hold = async (count: number, bytes: string): Promise<void> => {
      for (let index = 0; index < count; index += 1) {
        const socket = connect(port, '127.0.0.1')
          .on('error', () => undefined)
          .resume();
        held.push(socket);
        await once(socket, 'connect');
        socket.write(bytes);
      }
    };
    const probes = async (): Promise<void> => {
      for (const path of ['/live', '/ready']) {
        const started = performance.now();
        expect((await call(path, { headers: { connection: 'close' } })).code).toBe(200);
        expect(performance.now() - started).toBeLessThan(1000);
      }
    };
    try {
      await hold(300, '');
      await probes();
      // Slow loris: a header more now and then.
      await hold(300, 'GET /live HTTP/1.1\r\nHost: x\r\n');
      const drip = setInterval(() => held.forEach((socket) => socket.write('X-A: b\r\n')), 50);
      try {
        await probes();
        // A body that was announced and does not come.
        await hold(300, 'PUT /loglevel HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n');
        await probes();
      } finally {
        clearInterval(drip);
      }
      // The ends of the others arrive by and by.
      const open = (): number => held.filter(({ closed }) => !closed).length;
      for (const deadline = performance.now() + 5000; open() > 256 && performance.now() < deadline;) await sleep(20);
      expect(open()).toBeLessThanOrEqual(256);
    } finally {
      held.forEach((socket) => socket.destroy());
    }
  }, 20_000);

  test('headers that do not come to an end are waited for some seconds', async () => {
    const { port } = await serve();
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const started = performance.now();
    socket.write('GET /live HTTP/1.1\r\n');
    let answer = '';
    socket.on('data', (data) => (answer += data.toString()));
    await once(socket, 'close');
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(performance.now() - started).toBeLessThan(8000);
  }, 15_000);

  test('whoever waits for an answer keeps the connection; of the others the oldest goes', async () => {
    let answer: () => void = () => undefined;
    const asked: IncomingMessage[] = [];
    const server = createServer((incoming, response) => {
      asked.push(incoming);
      answer = () => response.end('late');
    });
    limitConnections(server, 3);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const open = async (): Promise<Socket> => {
      const socket = connect(port, '127.0.0.1')
        .on('error', () => undefined)
        .resume();
      await once(socket, 'connect');
      return socket;
    };
    const waiting = await open();
    let text = '';
    waiting.on('data', (data) => (text += data.toString()));
    waiting.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    while (asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const idle: Socket[] = [];
    for (let index = 0; index < 5; index += 1) idle.push(await open());
    await Promise.all(idle.slice(0, 3).map(async (socket) => socket.closed || once(socket, 'close')));
    expect([waiting, ...idle].map(({ closed }) => closed)).toEqual([false, true, true, true, false, false]);
    answer();
    while (!text.includes('late')) await once(waiting, 'data');
    // Answered, it is as good as any other, and the oldest.
    idle.push(await open());
    await (waiting.closed || once(waiting, 'close'));
    for (const socket of idle) socket.destroy();
    server.close();
  });

  test('bytes that are no HTTP get a 400 and the server goes on', async () => {
    const { port, call } = await serve();
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => socket.write('\u0000\u0001 nonsense\r\n\r\n'));
      let text = '';
      socket.on('data', (data) => (text += data.toString())).on('close', () => resolve(text));
    });
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect((await call('/live')).code).toBe(200);
  });
});

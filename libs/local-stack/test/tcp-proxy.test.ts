import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { startTcpProxy, type TcpProxy } from '@kafnus/local-stack';
import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

let echo: Server;
let proxy: TcpProxy;
const clients: Socket[] = [];

beforeEach(async () => {
  echo = createServer((socket) => socket.on('error', () => undefined).pipe(socket));
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const address = echo.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  proxy = await startTcpProxy({ port: address.port });
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await proxy.close();
  echo.close();
});

async function connect(): Promise<Socket> {
  const client = createConnection(proxy.port, '127.0.0.1');
  clients.push(client);
  await once(client, 'connect');
  return client;
}

/** Reads exactly so many bytes, or rejects after 20 s: two cores may be busy. */
function read(client: Socket, length: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`got ${received.length} of ${length} bytes`)), 20_000);
    let received = '';
    const more = (bytes: Buffer): void => {
      received += bytes.toString('latin1');
      if (received.length < length) return;
      clearTimeout(timer);
      client.off('data', more);
      resolve(received);
    };
    client.on('data', more);
  });
}

describe('startTcpProxy', () => {
  test('passes bytes in both directions, also more than a socket buffers', async () => {
    const client = await connect();
    const text = 'abcdefgh'.repeat(1_000_000);
    client.write(text);
    expect((await read(client, text.length)) === text).toBe(true);
    expect(proxy.counters).toEqual({ accepted: 1, open: 1, cut: 0, bytes: 2 * text.length });
  });

  test('passes the end of a connection on', async () => {
    const client = await connect();
    client.end('bye');
    expect(await read(client, 3)).toBe('bye');
    await once(client, 'end');
  });

  test('stall holds bytes of old and new connections, resume lets them go', async () => {
    const old = await connect();
    old.write('a');
    await read(old, 1);
    proxy.stall();
    const fresh = await connect();
    old.write('old');
    fresh.write('new');
    const answers = Promise.all([read(old, 3), read(fresh, 3)]);
    expect(await Promise.race([answers, sleep(300, 'silence')])).toBe('silence');
    await proxy.resume();
    expect(await answers).toEqual(['old', 'new']);
  });

  test('cut resets the open connections and accepts new ones', async () => {
    const client = await connect();
    client.write('a');
    await read(client, 1);
    const failed = once(client, 'error');
    expect(proxy.cut()).toBe(1);
    expect(await failed).toMatchObject([{ code: 'ECONNRESET' }]);
    const next = await connect();
    next.write('b');
    expect(await read(next, 1)).toBe('b');
    expect(proxy.counters).toMatchObject({ accepted: 2, cut: 1 });
  });

  test('refuse turns new connections away until resume', async () => {
    const client = await connect();
    client.write('a');
    await read(client, 1);
    const failed = once(client, 'error');
    await proxy.refuse();
    expect(await failed).toMatchObject([{ code: 'ECONNRESET' }]);
    await expect(connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await proxy.resume();
    const next = await connect();
    next.write('b');
    expect(await read(next, 1)).toBe('b');
  });

  test('a target that is down closes the connection', async () => {
    echo.close();
    const client = await connect();
    client.resume();
    await once(client, 'close');
    expect(proxy.counters.open).toBe(0);
  });
});

import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { startLocalPostgis, whyNoLocalPostgis, type LocalPostgis } from '@kafnus/local-stack';
import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { freePorts } from '../../src/ports.js';
import { unless } from '../../../agent-testkit/src/with-kafka.js';
import { compilePackage } from '../compiled.js';
import { eventually, isListening } from '../waiting.js';

jest.setTimeout(60_000);
const describeWithPostgis = unless(whyNoLocalPostgis, describe);

describeWithPostgis('a local PostGIS', () => {
  let postgis: LocalPostgis;
  beforeAll(async () => {
    postgis = await startLocalPostgis();
  });
  afterAll(() => postgis?.stop());

  test('knows geometries', async () => {
    expect(
      await postgis.query<{ text: string; srid: number }>(
        'select ST_AsText(point) as text, ST_SRID(point) as srid from ST_SetSRID(ST_MakePoint($1::float8, $2), 4326) point',
        [-8.63, 41.14],
      ),
    ).toEqual([{ text: 'POINT(-8.63 41.14)', srid: 4326 }]);
  });

  test('lets nobody in without its password', async () => {
    const [answer] = await postgis.query<{ method: string }>(
      'select distinct auth_method as method from pg_hba_file_rules',
    );
    expect(answer).toEqual({ method: 'scram-sha-256' });
    expect(new URL(postgis.url).password).toBe(postgis.password);
  });

  test('says what is wrong with a statement', async () => {
    await expect(postgis.query('select * from nothing')).rejects.toThrow('relation "nothing" does not exist');
  });

  test('comes back from an outage with what was committed, on the same port', async () => {
    await postgis.query('create table kept (number int)');
    // Broken off in the middle: the client is told, and so is nobody else.
    const sleeping = postgis.query('select pg_sleep(60)');
    const broken = expect(sleeping).rejects.toThrow(/terminat|ECONNRESET/);
    await postgis.query('insert into kept select generate_series(1, 1000)');
    await postgis.kill();
    await broken;
    await expect(postgis.query('select 1')).rejects.toThrow('ECONNREFUSED');
    await postgis.start();
    expect(await postgis.query('select count(*)::int as rows from kept')).toEqual([{ rows: 1000 }]);
    await expect(postgis.start()).rejects.toThrow('PostgreSQL is running already');
  });

  test('takes the port that it is given, and says when that is taken', async () => {
    await expect(startLocalPostgis({ port: postgis.port })).rejects.toThrow(/PostgreSQL did not start[^]*in use/);
    const [port = 0] = await freePorts(1);
    const other = await startLocalPostgis({ port, password: 'p@ss/word' });
    expect(other.url).toBe(`postgresql://kafnus:p%40ss%2Fword@127.0.0.1:${port}/kafnus`);
    expect(await other.query('select 1 as one')).toEqual([{ one: 1 }]);
    const folder = dirname(other.logFile);
    expect(statSync(folder).isDirectory()).toBe(true);
    await other.stop();
    await other.stop();
    expect(existsSync(folder)).toBe(false);
    expect(await isListening(port)).toBe(false);
  });

  test('dies with its parent, and its data with it', async () => {
    const compiled = compilePackage();
    const program = `
      const { startLocalPostgis } = await import(${JSON.stringify(compiled.program('local-postgis'))});
      const { port, logFile } = await startLocalPostgis();
      console.log(JSON.stringify({ port, logFile }));`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let line = '';
    for await (const chunk of parent.stdout) {
      line += String(chunk);
      if (line.includes('\n')) break;
    }
    const { port, logFile } = JSON.parse(line) as { port: number; logFile: string };
    expect(await isListening(port)).toBe(true);
    parent.kill('SIGKILL');
    await eventually('the server is gone', async () => !(await isListening(port)));
    await eventually('the data is gone', () => !existsSync(dirname(logFile)));
    compiled.remove();
  });
});

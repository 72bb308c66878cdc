import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { withKafka } from '@kafnus/agent-testkit';
import { endOffsets, produceAll } from '@kafnus/local-stack';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { askCommand } from '../../src/command.js';
import { freePorts } from '../../src/ports.js';
import { compilePackage, type CompiledPackage } from '../compiled.js';
import { eventually, isListening } from '../waiting.js';

jest.setTimeout(120_000);
const describeWithKafka = withKafka(describe);
const run = promisify(execFile);
const cache = process.env['KAFNUS_CACHE'] ?? fileURLToPath(new URL('../../../../.cache/', import.meta.url));

let compiled: CompiledPackage;
beforeAll(() => {
  compiled = compilePackage();
});
afterAll(() => compiled.remove());

/** Starts a program and reads its first line. */
async function start(name: string, ...args: string[]): Promise<{ child: ChildProcess; line: Record<string, string> }> {
  const child = spawn(process.execPath, [compiled.program(name), ...args], {
    stdio: 'pipe',
    env: { ...process.env, KAFNUS_CACHE: cache },
  });
  let text = '';
  for await (const chunk of child.stdout) {
    text += String(chunk);
    if (text.includes('\n')) break;
  }
  const line: Record<string, string> = JSON.parse(text);
  return { child, line };
}

async function exitCode(child: ChildProcess): Promise<unknown> {
  const [code] = child.exitCode === null && child.signalCode === null ? await once(child, 'exit') : [child.exitCode];
  return code;
}

describe('embedded-broker-main', () => {
  test('prints where it is, serves others and ends on SIGTERM', async () => {
    const { child, line } = await start('embedded-broker-main', '--brokers', '2', 'one', 'two');
    const servers = line['bootstrapServers'] ?? '';
    expect(servers.split(',')).toHaveLength(2);
    await produceAll(servers, [{ topic: 'one', value: 'v', partition: 0 }]);
    expect(await endOffsets(servers, 'one')).toEqual([1, 0, 0, 0]);
    child.kill('SIGTERM');
    expect(await exitCode(child)).toBe(0);
  });

  test('ends with its parent when it is told to', async () => {
    const { child } = await start('embedded-broker-main', '--exit-with-parent');
    child.stdin?.end();
    expect(await exitCode(child)).toBe(0);
  });

  test('refuses a number of brokers that is none', async () => {
    await expect(run(process.execPath, [compiled.program('embedded-broker-main'), '--brokers', 'x'])).rejects.toThrow(
      "--brokers must be a whole number greater than 0, not 'x'",
    );
  });
});

test.each(['embedded-broker-main', 'local-kafka-main'])('%s has help', async (name) => {
  const { stdout } = await run(process.execPath, [compiled.program(name), '--help']);
  expect(stdout).toContain(`Usage: node ${name}.js`);
});

describeWithKafka('local-kafka-main', () => {
  test('runs a Kafka on the given port and takes it down on SIGTERM, with its data', async () => {
    const [port] = await freePorts(1);
    const { child, line } = await start('local-kafka-main', '--port', `${port}`, '--set', 'num.partitions=7');
    expect(line['bootstrapServers']).toBe(`127.0.0.1:${port}`);
    expect(existsSync(line['logs'] ?? '')).toBe(true);
    child.kill('SIGTERM');
    expect(await exitCode(child)).toBe(0);
    expect(await isListening(port ?? 0)).toBe(false);
    expect(existsSync(line['logs'] ?? '')).toBe(false);
  });

  test('leaves no broker and no data behind when it is killed', async () => {
    const { child, line } = await start('local-kafka-main');
    const port = Number(line['bootstrapServers']?.split(':')[1]);
    expect(await isListening(port)).toBe(true);
    child.kill('SIGKILL');
    await eventually('the broker is gone', async () => !(await isListening(port)));
    await eventually('the data is gone', () => !existsSync(line['logs'] ?? ''));
  });

  test('ends with 1 and says why when a broker ends by itself', async () => {
    const { child } = await start('local-kafka-main');
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
    const [broker] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ');
    process.kill(Number(broker), 'SIGKILL');
    expect(await exitCode(child)).toBe(1);
    expect(said).toMatch(/^Broker 1: the process ended with SIGKILL$/m);
  });

  // A machine with a filled cache needs no Maven.
  const testWithMaven = askCommand('mvn', '-version') === undefined && process.env['CI'] !== 'true' ? test.skip : test;
  testWithMaven('fetches Kafka once when two processes find an empty cache', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'kafnus-cache-'));
    const program = `
      const { prepareKafka } = await import(${JSON.stringify(compiled.program('kafka-distribution'))});
      console.log((await prepareKafka()).classPath);`;
    const prepare = async (): Promise<string> => {
      const env = { ...process.env, KAFNUS_CACHE: empty };
      return (await run(process.execPath, ['--input-type=module', '-e', program], { env })).stdout;
    };
    const [first, second] = await Promise.all([prepare(), prepare()]);
    expect(first).toContain(empty);
    expect(second).toBe(first);
    expect(readdirSync(empty)).toEqual([expect.stringMatching(/^kafka-4\.1\.0-[0-9a-f]{8}$/)]);
    rmSync(empty, { recursive: true });
  });
});

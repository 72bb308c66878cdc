import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { commands } from '../src/commands.js';
import { kafnus } from './io.js';

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8'));

describe('kafnus', () => {
  test('lists its commands with --help, and with nothing, which is no call', async () => {
    const { code, stdout } = await kafnus(['--help']);
    expect(code).toBe(0);
    for (const { name, summary } of commands) expect(stdout).toMatch(new RegExp(`^  ${name} +${summary}$`, 'm'));
    expect(await kafnus([])).toEqual({ code: 2, stdout: '', stderr: stdout });
  });

  test('tells its version', async () => {
    expect(await kafnus(['--version'])).toEqual({ code: 0, stdout: `kafnus ${version}\n`, stderr: '' });
  });

  test.each(commands.map(({ name }) => name))('%s has help of at most 100 columns', async (name) => {
    const { code, stdout, stderr } = await kafnus([name, '--help']);
    expect(code).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).toMatch(new RegExp(`^Usage: kafnus ${name} `));
    expect(stdout).toContain('Exit codes: 0 ');
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
    expect(await kafnus(['help', name])).toEqual({ code, stdout, stderr });
  });

  test.each([
    ['sned', "unknown command 'sned'; did you mean send?"],
    ['dmeo', "unknown command 'dmeo'; did you mean demo?"],
    ['xyz', "unknown command 'xyz'\n"],
    ['--jsn', "unknown option '--jsn'"],
    ['\u001b[31mred', "unknown command '\\u001b[31mred'"],
  ])('does not know %j', async (name, message) => {
    const { code, stdout, stderr } = await kafnus([name]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).toContain("'kafnus --help' lists all.");
  });
});

describe('kafnus demo', () => {
  test.each([
    [['--kepe'], "unknown option '--kepe'; did you mean --keep?"],
    [['--timeout'], '--timeout needs a value: write --timeout=VALUE'],
    [['--timeout', 'soon'], "--timeout must be a time such as 30s, 5m or 500ms, not 'soon'"],
    [['--json=yes'], '--json takes no value'],
    [['please'], "unexpected argument 'please'"],
  ])('refuses %j', async (argv, message) => {
    const { code, stdout, stderr } = await kafnus(['demo', ...argv]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toBe(`kafnus demo: ${message}\n'kafnus demo --help' shows the usage.\n`);
  });

  test('refuses a setting of Kafka that is wrong, before anything is started', async () => {
    const env = { KAFNUS_KAFKA_BROKERS: 'localhost:9092', KAFNUS_KAFKA_SECURITY_PROTOCOL: 'tls' };
    const { code, stderr } = await kafnus(['demo', '--json'], { env });
    expect(code).toBe(2);
    expect(stderr).toMatch(/kafkaSecurityProtocol.*"tls".*environment variable KAFNUS_KAFKA_SECURITY_PROTOCOL/);
  });
});

describe('kafnus send', () => {
  const enough = ['--topic', 'raw_historic', '--brokers', 'localhost:1'];
  test.each([
    [[], '--topic is missing: the raw topic to publish to, e.g. --topic raw_historic'],
    [
      ['--topic', 'raw/historic'],
      "--topic 'raw/historic' is no legal topic name: letters, digits, dots, dashes and underscores",
    ],
    [['--topic', 'raw_historic'], '--brokers is missing, and KAFNUS_KAFKA_BROKERS is not set'],
    [[...enough, '--count', '0'], "--count must be a whole number of at least 1, not '0'"],
    [[...enough, '--count', '1e3'], "--count must be a whole number of at least 1, not '1e3'"],
    [[...enough, '--rate', '-5'], '--rate needs a value: write --rate=VALUE'],
    [[...enough, '--rate', 'fast'], "--rate must be a number above 0, not 'fast'"],
    [[...enough, '--duration', '5d'], "--duration must be a time such as 30s, 5m or 500ms, not '5d'"],
    [[...enough, '--start', 'now'], "--start must be a date such as 2026-05-01T08:00:00Z, not 'now'"],
    [[...enough, '--seed', '3', 'a.json'], '--seed is for the generated city, not for files'],
    [[...enough, '--servicpath', '/'], "unknown option '--servicpath'; did you mean --servicepath?"],
  ])('refuses %j', async (argv, message) => {
    const { code, stdout, stderr } = await kafnus(['send', ...argv]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toBe(`kafnus send: ${message}\n'kafnus send --help' shows the usage.\n`);
  });
});

import { beforeAll, expect, test } from '@jest/globals';
import { kafnus } from './io.js';

const commands = [
  ['lag'],
  ['top'],
  ['state', 'check'],
  ['tables', 'plan'],
  ['replay', 'plan'],
  ['send', '--topic', 'raw_historic', '--count', '1'],
];

// Jest cannot import modules of several commands at the same time.
beforeAll(async () => {
  for (const [name = ''] of commands) await kafnus([name, '--help']);
});

// Each command waits ten seconds for a broker.
test.concurrent.each(commands.map((command) => ({ command })))(
  'kafnus $command.0 says so when there is no broker',
  async ({ command }) => {
    const { code, stderr } = await kafnus([...command, '--brokers', '127.0.0.1:1']);
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(`^kafnus ${command[0]}: No Kafka answers at 127\\.0\\.0\\.1:1`));
  },
  60_000,
);

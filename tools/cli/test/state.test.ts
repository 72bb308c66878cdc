import { describe, expect, test } from '@jest/globals';
import { kafnus } from './io.js';

describe('kafnus state', () => {
  const enough = ['repartition', '--partitions', '8', '--brokers', 'localhost:1'];
  test.each([
    [[], 'the action is missing: kafnus state repartition, or kafnus state check'],
    [['grow'], "unknown action 'grow': kafnus state repartition, or kafnus state check"],
    [['check', 'twice'], "unexpected argument 'twice'"],
    [['check', '--partitions', '8'], '--partitions is for kafnus state repartition'],
    [['check', '--dry-run'], '--dry-run is for kafnus state repartition'],
    [['repartition', '--partitions', '0'], "--partitions must be a whole number of at least 1, not '0'"],
    [['repartition', '--partitions', 'eight'], "--partitions must be a whole number of at least 1, not 'eight'"],
    [['repartition', '--partions', '8'], "unknown option '--partions'; did you mean --partitions?"],
    [[...enough, '--partitioner', 'fnv1a'], "--partitioner must be murmur2 or crc32, not 'fnv1a'"],
    [
      [...enough, '--partitioner', 'crc32', '--everywhere'],
      '--everywhere needs no --partitioner: every partition gets all of the state',
    ],
    [
      [...enough, '--group', 'my group'],
      "--group 'my group' gives no legal topic name: letters, digits, dots, dashes and underscores",
    ],
    [
      [...enough, '--input-topic', 'raw/lastdata'],
      "--input-topic 'raw/lastdata' is no legal topic name: letters, digits, dots, dashes and underscores",
    ],
  ])('refuses %j', async (argv, message) => {
    const { code, stdout, stderr } = await kafnus(['state', ...argv]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toBe(`kafnus state: ${message}\n'kafnus state --help' shows the usage.\n`);
  });

  test('takes the group and the topic from where the agent does', async () => {
    const env = { KAFNUS_GROUP_ID: 'bad group', KAFNUS_INPUT_TOPIC: '{prefix}in', KAFNUS_TOPIC_PREFIX: 'bad/' };
    expect((await kafnus(['state', 'check'], { env })).stderr).toContain("--group 'bad group'");
    const group = ['--group', 'g'];
    expect((await kafnus(['state', 'check', ...group], { env })).stderr).toContain("--input-topic 'bad/in'");
    const prefixed = { KAFNUS_TOPIC_PREFIX: 'bad/' };
    const { stderr } = await kafnus(['state', 'check', ...group], { env: prefixed });
    expect(stderr).toContain("--input-topic 'bad/raw_lastdata'");
  });
});

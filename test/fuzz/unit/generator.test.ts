/** The generator: what it promises to the runs that use it. */
import { expect, test } from '@jest/globals';
import { wireBytes } from '@kafnus/agent-testkit';
import { createHash } from 'node:crypto';
import { Dice } from '../dice.js';
import { burst, traps, type FuzzRecord } from '../generator.js';

const agents = ['historic', 'errors'] as const;

/** Compared by their digest: they are megabytes. */
function digest(records: readonly FuzzRecord[]): string {
  const hash = createHash('sha256');
  for (const { key, value, headers, timestamp } of records) {
    hash.update(`${key?.length} ${value?.length} ${headers.length} ${timestamp} `);
    for (const bytes of [key, value, ...headers.flatMap((each) => [each.name, each.value])])
      if (bytes) hash.update(bytes);
  }
  return hash.digest('hex');
}

test.each(agents)('%s: the same seed and burst make the same records', (agent) => {
  const made = digest(burst(agent, 7, 3, 200));
  expect(digest(burst(agent, 7, 3, 200))).toBe(made);
  expect(digest(burst(agent, 7, 4, 200))).not.toBe(made);
  expect(digest(burst(agent, 8, 3, 200))).not.toBe(made);
});

test.each(agents)('%s: no record is larger than a raw topic takes', (agent) => {
  const records = [0, 1, 2].flatMap((index) => burst(agent, 1, index, 500));
  expect(Math.max(...records.map(wireBytes))).toBeLessThanOrEqual(1_046_000);
});

test.each(agents)('%s: the traps have names of their own', (agent) => {
  const names = traps(agent, new Dice(1)).map(({ name }) => name);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});

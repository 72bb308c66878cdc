/** Brokers with a full disk. */
import { expect, test } from '@jest/globals';
import type { LocalBroker } from '@kafnus/local-stack';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { eventually } from './harness/eventually.js';
import { inSync } from './harness/in-sync.js';
import { expectExactlyOnce } from './harness/expectations.js';
import { withFleet } from './harness/fleet.js';
import { describeFaults } from './harness/suite.js';
import { Workload } from './harness/workload.js';

/** Maximum file size in bytes. The preallocated index files must fit into it. */
const mostBytes = 2 ** 20;
const settings = { 'log.index.size.max.bytes': '65536' };

/**
 * Limits the size of the running broker's files to {@link mostBytes}. A write then fails as on a
 * full disk (with EFBIG in place of ENOSPC), the broker takes its only log directory offline, and
 * shuts down. A real full disk would need root. A restarted broker has no limit, as if an operator
 * had freed space.
 */
function fillDisk({ pid }: LocalBroker): void {
  execFileSync('prlimit', ['--pid', String(pid), `--fsize=${mostBytes}`]);
}

// prlimit exists on Linux only.
const testOnLinux = process.platform === 'linux' ? test : test.skip;

describeFaults('a disk that is full', { properties: settings }, (kafka) => {
  testOnLinux.each([
    ['of one broker', 1],
    // With two brokers down, the third refuses writes for lack of in-sync replicas: its disk would
    // never fill.
    ['of two brokers', 2],
  ])('%s', async (_what, count) => {
    await withFleet(kafka(), new Workload({ agent: 'lastdata' }), {}, async (fleet) => {
      await fleet.produce(1000);
      const agent = fleet.start('pod-0');
      await agent.until('processing', ({ ledger }) => ledger.read > 0);
      const victims = kafka().brokers.slice(0, count);
      for (const victim of victims) fillDisk(victim);
      const filling = fleet.produce(20_000);
      await eventually(async () => expect(victims.map(({ pid }) => pid)).toEqual(victims.map(() => undefined)));
      for (const { logFile } of victims) expect(readFileSync(logFile, 'utf8')).toContain('File too large');
      await Promise.all(victims.map((victim) => victim.start()));
      await inSync(kafka());
      await filling;
      await fleet.finished();
      expect(agent.end).toBeUndefined();
      await expectExactlyOnce(fleet.workload, kafka(), { alive: [agent] });
    });
  });
});

/**
 * `make fuzz` (run-fuzz.mjs says how it is started): bursts to all agents, one after the other,
 * for minutes.
 */
import { expect, jest, test } from '@jest/globals';
import { runLeg, startFuzzKafka } from './campaign.js';
import { deliveries, fuzzOptions } from './options.js';
import { readFound } from './record-file.js';

const options = fuzzOptions();
const narrowMs = 4 * 60_000;
/** What is found takes its time. */
jest.setTimeout(2 * options.minutes * 60_000 + 60 * 60_000);

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

test('nothing that a record holds stops an agent or disappears', async () => {
  const { seed, minutes, size, withinMs } = options;
  const found = options.replay === undefined ? undefined : readFound(options.replay);
  const kafka = await startFuzzKafka();
  const findings: string[] = [];
  try {
    if (found !== undefined) {
      const { agent, delivery, records } = found;
      say(`fuzz: ${records.length} records of ${options.replay} to ${agent}, ${delivery}`);
      const goOn = (bursts: number): boolean => bursts < 1;
      const leg = await runLeg({ ...found, kafka, size, withinMs, goOn, narrowMs, say, records });
      findings.push(...leg.findings);
    } else {
      say(`fuzz: ${minutes} minutes, seed ${seed}`);
      // Exactly once is the default: it gets three quarters of the time where both are run.
      const both = options.deliveries.length === deliveries.length;
      for (const agent of options.agents) {
        for (const delivery of options.deliveries) {
          const share = both ? (delivery === 'exactly-once' ? 0.75 : 0.25) : 1;
          const until = Date.now() + (minutes * 60_000 * share) / options.agents.length;
          const goOn = (bursts: number): boolean => bursts < 2 || Date.now() < until;
          const leg = await runLeg({ kafka, agent, delivery, seed, size, withinMs, goOn, narrowMs, say });
          findings.push(...leg.findings);
        }
      }
    }
  } finally {
    await kafka.stop();
  }
  say(
    `\n${findings.length === 0 ? 'clean: every good record came out, and every record is accounted for' : `${findings.length} findings`}`,
  );
  expect(findings).toEqual([]);
});

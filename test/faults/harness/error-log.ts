/** The expected output of the errors agent for the dead letters of the other agents. */
import { expect } from '@jest/globals';
import { checkExactlyOnce, expectNoViolations } from '@kafnus/agent-testkit';
import { type AgentProcess, type LocalKafka } from '@kafnus/local-stack';
import type { InputRecord } from '@kafnus/agent-runtime';
import { expectLedgers, header, readStable } from './expectations.js';
import { invalidTenant, type Tally, type Workload } from './workload.js';

/**
 * Reads the input of the errors agent once the other agents have finished. Sets the workload's ends
 * to the offset after the last record of each partition (not to the end offset, which is after the
 * transaction markers), and its tallies to the expected outcomes.
 */
export async function readDeadLetters(errors: Workload, kafka: LocalKafka): Promise<InputRecord[]> {
  const deadLetters = await readStable(kafka, errors.inputTopic);
  errors.tallies.clear();
  for (const deadLetter of deadLetters) {
    errors.ends[deadLetter.partition] = Math.max(errors.ends[deadLetter.partition] ?? 0, deadLetter.offset + 1);
    const db = header(deadLetter, 'fiware-service');
    const sound = errors.tenants.includes(db);
    const tenant = sound ? db : invalidTenant;
    const tally: Tally = errors.tallies.get(tenant) ?? { read: 0, emitted: 0, skipped: 0, rejected: 0 };
    tally.read += 1;
    tally[sound ? 'emitted' : 'rejected'] += 1;
    errors.tallies.set(tenant, tally);
  }
  return deadLetters;
}

/**
 * Expects that each dead letter is logged once for its tenant, with its timestamp and message, and
 * that those without a valid tenant are in the dead-letter topic of the errors agent. A log record
 * does not identify its dead letter, so equal ones are numbered.
 */
export async function expectLogged(
  errors: Workload,
  deadLetters: readonly InputRecord[],
  kafka: LocalKafka,
  alive: readonly AgentProcess[],
): Promise<void> {
  for (const tenant of errors.tenants) {
    const number = numbered();
    const expected = deadLetters
      .filter((deadLetter) => header(deadLetter, 'fiware-service') === tenant)
      .map((deadLetter) => {
        const text = `${deadLetter.timestamp} ${header(deadLetter, '__connect.errors.exception.message')}`;
        return { id: number(text), entity: tenant, sequence: 0 };
      });
    const found = numbered();
    const logged = (await readStable(kafka, errors.outputTopic(tenant))).map(({ topic, partition, offset, value }) => {
      const { payload } = JSON.parse(String(value)) as { payload: { timestamp: string; error: string } };
      return { id: found(`${Date.parse(payload.timestamp)} ${payload.error}`), topic, partition, offset };
    });
    expectNoViolations(checkExactlyOnce(expected, logged), `log of ${tenant}`);
  }
  const refused = deadLetters.filter((deadLetter) => !errors.tenants.includes(header(deadLetter, 'fiware-service')));
  const dead = await readStable(kafka, errors.deadLetterTopic);
  expect(dead.map(correlator).sort()).toEqual(refused.map(correlator).sort());
  await expectLedgers(errors, alive, false);
}

function correlator(record: InputRecord): string {
  return header(record, 'fiware-correlator');
}

/** Makes equal texts distinct by a number. */
function numbered(): (text: string) => string {
  const counts = new Map<string, number>();
  return (text) => {
    const count = (counts.get(text) ?? 0) + 1;
    counts.set(text, count);
    return `${text} #${count}`;
  };
}

/** What the errors agent has to make of the dead letters of the others. */
import { expect } from '@jest/globals';
import { checkExactlyOnce, expectNoViolations } from '@kafnus/agent-testkit';
import { type AgentProcess, type LocalKafka } from '@kafnus/local-stack';
import type { InputRecord } from '@kafnus/agent-runtime';
import { expectLedgers, header, readStable } from './expectations.js';
import { INVALID_TENANT, type Tally, type Workload } from './workload.js';

/**
 * The input of the errors agent, once the others have finished: it ends with the last record, not with the markers of the
 * transactions that wrote it. The workload's ends are set to that, and its tallies to what must come of it.
 */
export async function readLetters(errors: Workload, kafka: LocalKafka): Promise<InputRecord[]> {
  const letters = await readStable(kafka, errors.inputTopic);
  errors.tallies.clear();
  for (const letter of letters) {
    errors.ends[letter.partition] = Math.max(errors.ends[letter.partition] ?? 0, letter.offset + 1);
    const db = header(letter, 'fiware-service');
    const sound = errors.tenants.includes(db);
    const tenant = sound ? db : INVALID_TENANT;
    const tally: Tally = errors.tallies.get(tenant) ?? { read: 0, emitted: 0, skipped: 0, rejected: 0 };
    tally.read += 1;
    tally[sound ? 'emitted' : 'rejected'] += 1;
    errors.tallies.set(tenant, tally);
  }
  return letters;
}

/**
 * Each letter is logged once for its tenant, with its own time and message; those of no legal tenant are in the dead-letter
 * topic of the errors agent. A log record does not name the record it is about, so equal ones are told apart by counting.
 */
export async function expectLogged(
  errors: Workload,
  letters: readonly InputRecord[],
  kafka: LocalKafka,
  alive: readonly AgentProcess[],
): Promise<void> {
  for (const tenant of errors.tenants) {
    const number = numbered();
    const expected = letters
      .filter((letter) => header(letter, 'fiware-service') === tenant)
      .map((letter) => {
        const text = `${letter.timestamp} ${header(letter, '__connect.errors.exception.message')}`;
        return { id: number(text), entity: tenant, sequence: 0 };
      });
    const found = numbered();
    const logged = (await readStable(kafka, errors.outputTopic(tenant))).map(({ topic, partition, offset, value }) => {
      const { payload } = JSON.parse(String(value)) as { payload: { timestamp: string; error: string } };
      return { id: found(`${Date.parse(payload.timestamp)} ${payload.error}`), topic, partition, offset };
    });
    expectNoViolations(checkExactlyOnce(expected, logged), `log of ${tenant}`);
  }
  const refused = letters.filter((letter) => !errors.tenants.includes(header(letter, 'fiware-service')));
  const dead = await readStable(kafka, errors.deadLetterTopic);
  expect(dead.map(correlator).sort()).toEqual(refused.map(correlator).sort());
  await expectLedgers(errors, alive, false);
}

function correlator(record: InputRecord): string {
  return header(record, 'fiware-correlator');
}

/** Names the n-th of equal texts. */
function numbered(): (text: string) => string {
  const counts = new Map<string, number>();
  return (text) => {
    const count = (counts.get(text) ?? 0) + 1;
    counts.set(text, count);
    return `${text} #${count}`;
  };
}

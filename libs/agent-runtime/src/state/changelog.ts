/**
 * The changelog: a compacted topic with as many partitions as the input, in which every change of
 * the state is written in the transaction of the record that made it. Partition n of it holds the
 * state of partition n of the input.
 *
 * A record's key is the state's key and its value the number as text, so that `kcat` can read it.
 */
import type { StatePut } from '@kafnus/agent-contract';
import { changelogConfig } from '@kafnus/kafka-admin';
import type { OutgoingRecord, TopicSpec } from '../session.js';

/** `<group>-<store>-changelog`, as Kafka Streams would call it. */
export function changelogTopic(groupId: string, store: string): string {
  return `${groupId}-${store}-changelog`;
}

/** How the changelog of an input with so many partitions is created. */
export function changelogSpec(partitions: number, replicationFactor: number): TopicSpec {
  return { partitions, replicationFactor, config: changelogConfig };
}

/** The record of a change, with the timestamp of the input record: replay writes the same bytes. */
export function changelogRecord(topic: string, partition: number, put: StatePut, timestamp: number): OutgoingRecord {
  return { topic, partition, key: put.key, value: String(put.value), headers: [], timestamp };
}

/** The value of a change that is read back: null deletes, undefined is no record of this suite. */
export function parseChangelogValue(value: Buffer | null): number | null | undefined {
  if (value === null) return null;
  const whole = wholeNumber(value);
  if (whole !== undefined) return whole;
  const number = value.length === 0 ? Number.NaN : Number(value.toString('latin1'));
  return Number.isFinite(number) ? number : undefined;
}

const zero = 0x30;
/** As long as the largest number whose digits are all kept. */
const maxDigits = String(Number.MAX_SAFE_INTEGER).length;

/** Nearly all values are digits, of a number that is exact: these are read without a string. */
function wholeNumber(text: Buffer): number | undefined {
  if (text.length === 0 || text.length > maxDigits) return undefined;
  let number = 0;
  for (let at = 0; at < text.length; at += 1) {
    const digit = (text[at] ?? 0) - zero;
    if (digit < 0 || digit > 9) return undefined;
    number = number * 10 + digit;
  }
  return number <= Number.MAX_SAFE_INTEGER ? number : undefined;
}

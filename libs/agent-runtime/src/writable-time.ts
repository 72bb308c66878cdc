/**
 * The time with which a record is written, in milliseconds since the epoch: that of the record it
 * is made of, unless Kafka could not take it. A refused time would be refused for ever: the
 * transaction is aborted (INVALID_TIMESTAMP), the same record is read again, and its dead letter,
 * which has the same time, is refused as well.
 *
 * - More than an hour ahead of the clock: brokers of Kafka 4 refuse it
 *   (`message.timestamp.after.max.ms`, KIP-937). A raw topic may hold it: one that an older broker
 *   has filled, or that has another limit. It is written with the time of writing.
 * - 0: librdkafka takes it for "now" (`rd_kafka_msg_new`), and the same input would give other
 *   bytes each time. It is written as 1.
 * - Below -1, which is Kafka's "no time": a time no client may write. It is written as -1.
 */
import { brokerAheadMs } from '@kafnus/kafka-admin';

/** How far ahead of the clock a written time can be: two clocks may differ by the rest. */
export const aheadMs = brokerAheadMs - 60_000;
const none = -1;

/** A time up to which none is too far ahead: the clock is asked only for what is later. */
let surelyTaken = Number.NEGATIVE_INFINITY;

/** @param timestamp any number of milliseconds, as the Kafka client hands it out */
export function writableTime(timestamp: number): number {
  if (timestamp > 0 && timestamp <= surelyTaken) return timestamp;
  if (timestamp === 0) return 1;
  if (!(timestamp >= none)) return none;
  const now = Date.now();
  surelyTaken = now + aheadMs;
  return timestamp <= surelyTaken ? timestamp : now;
}

/**
 * Writes and reads records without the Kafka client, so with any bytes that the protocol allows. It
 * does not look up partition leaders: it is for a cluster of one broker without login, such as that
 * of {@link startLocalKafka}.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ByteWriter, fetchCommitted, WireConnection, type KafkaConnectionConfig } from '@kafnus/kafka-admin';
import { decodeCommitted, encodeBatch, wireBytes, type PlacedRecord, type WireRecord } from './wire-batch.js';

/** A version without the flexible encoding, which brokers from Kafka 2.1 to 4 accept. */
const produceRequest = { key: 0, version: 7 };
const allReplicas = -1;
const timeoutMs = 10_000;
/**
 * A topic accepts batches of 1,048,588 bytes by default. A larger record gets a batch of its own.
 */
const batchBytes = 500_000;
const fetchBytes = 4 << 20;
const notLeader = 6;
/** The text of fetchCommitted for this error. */
const notLeaderText = 'it is not the leader';
const leaderMs = 10_000;

/** Repeats a request while the broker does not know yet that it leads a new partition. */
async function whenLed<T>(work: () => Promise<T>): Promise<T> {
  for (const deadline = Date.now() + leaderMs; ; await sleep(50)) {
    try {
      return await work();
    } catch (error) {
      const early = error instanceof Error && error.message.includes(notLeaderText);
      if (!early || Date.now() > deadline) throw error;
    }
  }
}

export class WireClient {
  readonly #connection: WireConnection;
  /** Requests are sent one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(connection: WireConnection) {
    this.#connection = connection;
  }

  /** @param broker `127.0.0.1:9092` @throws Error when nobody answers there */
  static async open(broker: string): Promise<WireClient> {
    // A plaintext connection reads no other setting.
    const config = { kafkaBrokers: broker, kafkaSecurityProtocol: 'plaintext' } as KafkaConnectionConfig;
    return new WireClient(await WireConnection.open(config, 'kafnus-wire-client'));
  }

  close(): void {
    this.#connection.close();
  }

  /**
   * Writes records to a partition in their order, and resolves when they are stored.
   * @returns the offset of each
   * @throws Error with the broker's error code when it refuses a batch
   */
  async produce(topic: string, partition: number, records: readonly WireRecord[]): Promise<number[]> {
    const offsets: number[] = [];
    for (let from = 0; from < records.length;) {
      let to = from;
      for (let bytes = 0; to < records.length; to += 1) {
        const record = records[to];
        bytes += record === undefined ? 0 : wireBytes(record);
        if (bytes > batchBytes && to > from) break;
      }
      const base = await this.#inTurn(() =>
        whenLed(() => this.#produceBatch(topic, partition, records.slice(from, to))),
      );
      for (let index = from; index < to; index += 1) offsets.push(base + index - from);
      from = to;
    }
    return offsets;
  }

  /**
   * Reads the committed records of a partition from an offset on, as many as one response has; none
   * when nothing arrives within 100 ms.
   * @returns the records, and the next offset to read
   */
  async fetch(topic: string, partition: number, offset: number): Promise<{ records: PlacedRecord[]; next: number }> {
    return this.#inTurn(async () => {
      const { aborted, batches } = await whenLed(() =>
        fetchCommitted(this.#connection, { topic, partition }, offset, fetchBytes),
      );
      return decodeCommitted(batches, offset, aborted);
    });
  }

  async #produceBatch(topic: string, partition: number, records: readonly WireRecord[]): Promise<number> {
    const body = new ByteWriter().int16(-1).int16(allReplicas).int32(timeoutMs);
    body.array([topic], (name) => {
      body.string(name).array([partition], (number) => body.int32(number).bytes(encodeBatch(records)));
    });
    const answer = await this.#connection.request(produceRequest, body.toBuffer());
    const [result] = answer
      .array(() => {
        answer.string(); // topic
        return answer.array(() => {
          answer.int32(); // partition
          const code = answer.int16();
          const base = answer.int64();
          answer.int64(); // time of the append
          answer.int64(); // first offset of the log
          return { code, base };
        });
      })
      .flat();
    if (result === undefined) throw new Error(`no answer about ${topic}-${partition}`);
    if (result.code === 0) return result.base;
    const reason = result.code === notLeader ? notLeaderText : `error ${result.code}`;
    throw new Error(`the broker refuses ${records.length} records for ${topic}-${partition}: ${reason}`);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

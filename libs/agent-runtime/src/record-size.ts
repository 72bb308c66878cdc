/**
 * How large a record is on the wire. What the producer would refuse has to be known before anything
 * of its step is sent: nothing that is in a transaction can be taken back alone.
 */
import type { OutputRecord, Rejection, StatePut } from '@kafnus/agent-contract';
import type { RuntimeConfig } from './config.js';
import type { OutgoingRecord } from './session.js';

type Content = Pick<OutgoingRecord, 'key' | 'value' | 'headers'>;

/** Default of `message.max.bytes`: the broker's default (1,048,588) less a margin. */
export const defaultMaxBytes = 1_048_000;

/** Lengths, offset, timestamp and attributes of a record; the two lengths of a header; at most. */
const recordOverhead = 70;
const headerOverhead = 20;
/** The least lengths that need another byte, as the zigzag varints of KIP-98. */
const longerLengths = [1 << 6, 1 << 13, 1 << 20, 1 << 27];
/** UTF-8 bytes of a UTF-16 unit, at most. */
export const bytesPerUnit = 3;

/** The most bytes of a record that the producer takes. */
export function maxRecordBytes({ kafkaProducer }: Pick<RuntimeConfig, 'kafkaProducer'>): number {
  const given = Number(kafkaProducer['message.max.bytes'] ?? kafkaProducer['max.message.bytes']);
  return given > 0 ? given : defaultMaxBytes;
}

/** The bytes that a record takes at most. */
export function recordBytes(record: Content): number {
  return measure(record, bytesOf, (name, value) => lengthBytes(name) + lengthBytes(value));
}

/** Whether a record could take more bytes. Called for every record: it encodes no text. */
export function mayExceed(record: Content, bytes: number): boolean {
  return measure(record, unitsOf, () => headerOverhead) * bytesPerUnit > bytes;
}

function bytesOf(content: string | Buffer): number {
  return typeof content === 'string' ? Buffer.byteLength(content) : content.length;
}

/** The bytes in which a length is written. A record may have 100,000 headers: an excess adds up. */
function lengthBytes(length: number): number {
  let bytes = 1;
  for (const least of longerLengths) if (length >= least) bytes += 1;
  return bytes;
}

/** The same for the entry of a changelog, whose value is a number. */
export function entryMayExceed(key: string, bytes: number): boolean {
  return key.length * bytesPerUnit + 2 * recordOverhead > bytes;
}

function unitsOf(content: string | Buffer): number {
  return content.length;
}

function measure(
  { key, value, headers }: Content,
  sizeOf: (content: string | Buffer) => number,
  framing: (nameSize: number, valueSize: number) => number,
): number {
  let size = recordOverhead + (key === null ? 0 : sizeOf(key)) + (value === null ? 0 : sizeOf(value));
  for (const header of headers) {
    for (const name in header) {
      const nameSize = sizeOf(name);
      const valueSize = sizeOf(header[name] ?? '');
      size += framing(nameSize, valueSize) + nameSize + valueSize;
    }
  }
  return size;
}

/** Why a record cannot be sent; undefined: it can. */
export function tooLarge(output: OutputRecord, maxBytes: number): Rejection | undefined {
  const size = recordBytes(output);
  if (size <= maxBytes) return undefined;
  const message = `the record for ${output.topic} would have ${size} bytes, and ${maxBytes} are sent at most: publish smaller attributes`;
  return { code: 'record-too-large', stage: 'KAFKA_PRODUCE', message };
}

/** A key may have more bytes than the outputs: their names have one byte for most characters. */
export function largeEntry({ key, value }: StatePut, maxBytes: number): Rejection | undefined {
  const size = recordBytes({ key, value: String(value), headers: [] });
  if (size <= maxBytes) return undefined;
  const message = `the entry of the state would have ${size} bytes, and ${maxBytes} are sent at most: use shorter ids and types`;
  return { code: 'record-too-large', stage: 'KAFKA_PRODUCE', message };
}

/**
 * What a decision is made of. The shapes are those of the runtime's contract (`Step`, `OutputRecord`, ...), told again so
 * that this library depends on nothing; the services' types are checked against both.
 */
import type { AttributeCode, RejectCode, SkipReason } from './codes.js';

/** One header: an object whose only member is named for it. Repeated headers are repeated members of the list. */
export type Header = Readonly<Record<string, string | Buffer>>;

/** What a decision reads of a raw record. */
export interface RawRecord {
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
  readonly value: Buffer | null;
  readonly headers: readonly Header[];
}

/** A Kafka Connect record to be written. */
export interface ConnectRecord {
  readonly topic: string;
  /** Non-negative 31-bit hash that chooses the partition, modulo the partitions of the topic. */
  readonly partitionHash: number;
  readonly key: string | null;
  /** null is a tombstone. */
  readonly value: string | null;
  readonly headers: readonly Header[];
  /** Milliseconds since the epoch: that of the raw record. */
  readonly timestamp: number;
}

/** Why something was refused. */
export interface Refusal {
  readonly code: RejectCode | AttributeCode;
  readonly message: string;
  readonly stage: 'VALUE_CONVERTER' | 'TRANSFORMATION';
}

/** A change of the keyed state. */
export interface MemoryPut {
  readonly key: string;
  readonly value: number;
}

/** The keyed state as an agent reads it. */
export interface Memory {
  get(key: string): number | undefined;
}

/** The decision about one raw record. */
export type Decision = EmitDecision | SkipDecision | RejectDecision;

interface EmitDecision {
  readonly kind: 'emit';
  readonly tenant: string;
  readonly outputs: readonly ConnectRecord[];
  readonly puts?: readonly MemoryPut[];
  readonly reports?: readonly Refusal[];
  readonly skipped?: readonly SkipReason[];
}

interface SkipDecision {
  readonly kind: 'skip';
  readonly tenant: string;
  readonly reason: SkipReason;
}

interface RejectDecision {
  readonly kind: 'reject';
  readonly tenant: string;
  readonly rejections: readonly [Refusal, ...Refusal[]];
}

/** A refusal by what the record says (not by how it is encoded). */
export function refusal(code: RejectCode | AttributeCode, message: string): Refusal {
  return { code, message, stage: 'TRANSFORMATION' };
}

import type { InputRecord, Rejection } from '@kafnus/agent-contract';
import type { AttributeCode, RejectCode } from './codes.js';

/** What a decision reads of a record. */
export type RawRecord = Pick<InputRecord, 'timestamp' | 'value' | 'headers'>;

/** A rejection because of what the record says (not of how it is encoded). */
export function rejection(code: RejectCode | AttributeCode, message: string): Rejection {
  return { code, message, stage: 'TRANSFORMATION' };
}

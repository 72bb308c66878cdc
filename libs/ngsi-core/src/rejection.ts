import type { InputRecord, Rejection } from '@kafnus/agent-contract';
import type { AttributeCode, RejectCode } from './codes.js';

/** What a decision reads of a record; without a place nothing is re-keyed. */
export type RawRecord = Pick<InputRecord, 'timestamp' | 'value' | 'headers'> &
  Partial<Pick<InputRecord, 'topic' | 'partition' | 'offset'>>;

/** A rejection because of the content of a record, and not of its encoding. */
export function rejection(code: RejectCode | AttributeCode, message: string): Rejection {
  return { code, message, stage: 'TRANSFORMATION' };
}

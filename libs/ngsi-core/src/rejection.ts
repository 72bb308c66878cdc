import type { InputRecord, Rejection } from '@kafnus/agent-contract';
import type { AttributeCode, RejectCode } from './codes.js';

/** The parts of a record that a decision reads. */
export type RawRecord = Pick<InputRecord, 'timestamp' | 'value' | 'headers'>;

/** A rejection because of the content of a record, and not of its encoding. */
export function rejection(code: RejectCode | AttributeCode, message: string): Rejection {
  return { code, message, stage: 'TRANSFORMATION' };
}

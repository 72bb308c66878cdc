/**
 * What becomes of a decision that throws.
 *
 * A decision is a pure function of its record and the state, so its exception is as repeatable as
 * its result. Were it to end the process, the next process would read the same record, throw as
 * well and end too: one record would stop its partition, and with it all tenants, until somebody
 * moves the offset by hand. So the exception is an outcome of that record alone: a reject, with the
 * record unchanged in the dead-letter topic, and a line in the log with the stack, because it is a
 * defect of the agent that must be fixed. `kafnus replay` sends the record back when that
 * is done.
 */
import type { Decide, InputRecord, Step } from '@kafnus/agent-contract';
import { messageOf } from '@kafnus/kafka-admin';

/** The tenant of a record that could not be decided: whose it is was a part of the decision. */
const unknownTenant = '_unknown';

/** Of the exception's text: it may quote the record. */
const longestMessage = 500;

/**
 * The decision with its exceptions turned into rejects.
 * @param onFailure gets each exception, for the log
 */
export function guardDecision(decide: Decide, onFailure: (record: InputRecord, error: unknown) => void): Decide {
  return (record, state, inputPartitions) => {
    try {
      return decide(record, state, inputPartitions);
    } catch (error) {
      onFailure(record, error);
      return failed(error);
    }
  };
}

/**
 * The decision about records of a bounded size only. A batch of a megabyte may hold a record of a
 * gigabyte, because a broker looks at the compressed size; and to read a notification takes some
 * ten times its size in memory.
 * @param maxBytes of key, value and headers; a record with more is a reject
 */
export function boundInput(decide: Decide, maxBytes: number): Decide {
  return (record, state, inputPartitions) => {
    const bytes = inputBytes(record);
    return bytes > maxBytes ? tooLarge(bytes, maxBytes) : decide(record, state, inputPartitions);
  };
}

/** Bytes of key, value and headers; names, and header values that are text, count in characters. */
function inputBytes({ key, value, headers }: InputRecord): number {
  let bytes = (key?.length ?? 0) + (value?.length ?? 0);
  for (const header of headers) {
    // A null value becomes text or a Buffer on the way in; other sessions may hand it out as it is.
    for (const name in header) bytes += name.length + (header[name]?.length ?? 0);
  }
  return bytes;
}

function tooLarge(bytes: number, maxBytes: number): Step {
  const message = `the record has ${bytes} bytes, and ${maxBytes} are read at most: publish smaller notifications, or raise maxInputBytes (KAFNUS_MAX_INPUT_BYTES) and the memory of the agent`;
  return {
    kind: 'reject',
    tenant: unknownTenant,
    rejections: [{ code: 'input-too-large', stage: 'VALUE_CONVERTER', message }],
  };
}

function failed(error: unknown): Step {
  const text = messageOf(error);
  const shown = text.length > longestMessage ? `${text.slice(0, longestMessage)}...` : text;
  const message = `the agent failed on this record, which is a defect of the agent: ${shown}. Report it with this record`;
  return {
    kind: 'reject',
    tenant: unknownTenant,
    rejections: [{ code: 'decision-failed', stage: 'TRANSFORMATION', message }],
  };
}

/** Bounds of time and memory for any record. */
import { source, loop, loopOutputs, linear, amplification, session } from '../tests.mjs';

/** @type {readonly import('../mutations.mjs').Mutation[]} */
export const resources = [
  {
    name: 'decision-unguarded',
    breaks: 'a record that makes a decision throw ends the process, and each process after it',
    file: source('decision-guard.ts'),
    edits: [
      { find: 'return failed(error);', replace: 'if (record.offset >= 0) throw error;\n      return failed(error);' },
    ],
    tests: [
      loop(
        'an agent that throws refuses that record, unchanged and with the exception named, and goes on with the next',
      ),
    ],
  },
  {
    name: 'coordinates-backtrack',
    breaks: 'a geo:point of some kilobytes keeps the agent busy for ever',
    file: 'libs/ngsi-core/src/geometry.ts',
    edits: [{ find: String.raw`(?:\d+(?:\.\d*)?|\.\d+)`, replace: String.raw`(?:\d+\.?\d*|\.\d+)` }],
    tests: [linear('text of a megabyte is read within a second geo:point')],
  },
  {
    name: 'outputs-unbounded',
    breaks:
      'one record becomes gigabytes of outputs: the process runs out of memory at the same record again and again',
    file: 'libs/ngsi-core/src/step-builder.ts',
    edits: [
      {
        find: 'return this.#limit !== undefined && this.#size > this.#limit;',
        replace: 'return this.#limit !== undefined && this.#size < 0;',
      },
    ],
    tests: [amplification('the outputs of one record are not made beyond it')],
  },
  {
    name: 'headers-of-any-length',
    breaks: 'thousands of outputs carry a header of a quarter of a megabyte each',
    file: 'libs/ngsi-core/src/ngsi-agent.ts',
    edits: [{ find: 'if (tooLong !== undefined) return', replace: "if (tooLong === '') return" }],
    tests: [amplification('a header that each output would carry is bounded where the message names it, too')],
  },
  {
    name: 'state-entry-unmeasured',
    breaks: 'an entry of the state that is too large for its changelog ends the process, and each process after it',
    file: source('output-topics.ts'),
    edits: [{ find: 'entryMayExceed(put.key, this.#maxBytes) ?', replace: 'entryMayExceed(put.key, Infinity) ?' }],
    tests: [loopOutputs('sizes an entry of the state that is too large is a reject, and the state does not have it')],
  },
  {
    name: 'input-unbounded',
    breaks: 'a record that was compressed a thousandfold is parsed, and the process runs out of memory',
    file: source('agent-loop.ts'),
    edits: [
      {
        find: 'boundInput(configured.decide, config.maxInputBytes)',
        replace: 'boundInput(configured.decide, Infinity)',
      },
    ],
    tests: [loopOutputs('sizes a record that is larger than what is read is a reject, and nobody looks into it')],
  },
  {
    name: 'input-headers-unmeasured',
    breaks: 'a header of tens of megabytes is lower-cased and sanitised, and the process runs out of memory',
    file: source('decision-guard.ts'),
    edits: [{ find: 'bytes += name.length + (header[name]?.length ?? 0)', replace: 'bytes += 0 * name.length' }],
    tests: [loopOutputs('sizes headers count for what is read at most, names and values')],
  },
  {
    name: 'refusals-not-counted',
    breaks: 'a notification of millions of elements that are no entities is refused element by element',
    file: 'libs/ngsi-core/src/step-builder.ts',
    edits: [{ find: 'refusalOverhead + refused.message.length', replace: 'refused.message.length' }],
    tests: [
      amplification(
        'the outputs of one record count reports as well: a hundred thousand of them are no smaller than rows',
      ),
    ],
  },
  {
    name: 'transaction-too-old',
    breaks: 'decisions that take seconds let the broker abort the transaction of a poll, again and again',
    file: source('agent-loop.ts'),
    edits: [{ find: 'if (writer.isFull || writer.isOld)', replace: 'if (writer.isFull)' }],
    tests: [loopOutputs('sizes slow decisions do not let a transaction become so old that the broker aborts it')],
  },
  {
    name: 'shapes-not-counted',
    breaks: 'schemas of many entity types, each of them large, take hundreds of megabytes',
    file: 'libs/ngsi-core/src/connect-record.ts',
    edits: [{ find: 'weight > maxWeight', replace: 'weight > Infinity' }],
    tests: [
      amplification(
        'what is remembered of entities is bounded in bytes: many types with many large shapes take no more than few',
      ),
    ],
  },
  {
    name: 'headers-as-delivered',
    breaks: 'a header called __proto__ makes the reading of headers throw, and is lost in the dead letter',
    file: source('kafka/own-headers.ts'),
    edits: [{ find: 'return headers.map(owned);', replace: 'return headers.slice(0, 0).map(owned).concat(headers);' }],
    tests: [session('records have and keep headers of any name as own members, also of one that every object has')],
  },
];

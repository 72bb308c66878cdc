/**
 * Headers as the Kafka client hands them out, made safe to read.
 *
 * The client makes an object of each header and sets its only member as an assignment would
 * (`Nan::Set` in its common.cc). For the name `__proto__` that calls the setter of
 * Object.prototype: the header has no member then, and the value, a Buffer, becomes its prototype.
 * A `for...in` over such a header visits the members of Buffer.prototype, of which `parent` and
 * `offset` throw; and what copies own members alone loses the header.
 */
import type { RecordHeader } from '@kafnus/agent-contract';

/**
 * The headers with each name as an own member, `__proto__` included, so that a reader meets what
 * the record holds and a writer writes it (the client's `produce` reads own members).
 * @returns the list itself where that holds already, which is the usual case: nothing is allocated
 *   for it
 */
export function ownHeaders(headers: readonly RecordHeader[]): readonly RecordHeader[] {
  for (const header of headers) {
    if (Object.getPrototypeOf(header) !== Object.prototype) return headers.map(owned);
  }
  return headers;
}

function owned(header: RecordHeader): RecordHeader {
  const prototype: unknown = Object.getPrototypeOf(header);
  // A computed name defines a member where an assignment would set the prototype.
  return Buffer.isBuffer(prototype) ? { ['__proto__']: prototype } : header;
}

/**
 * What must hold after a burst (SPEC 6), as pure functions: each returns what is wrong, and
 * nothing when all is well.
 */
import { wireBytes, type PlacedRecord, type WireRecord } from '@kafnus/agent-testkit';

/** What a finding is about: a record is sought that brings one of the same kind. */
export type FindingKind = 'ended' | 'silent' | 'ledger' | 'dead-letter' | 'lag' | 'probe' | 'memory';

export interface Finding {
  readonly kind: FindingKind;
  readonly detail: string;
}

/** The counters of an agent at one moment. */
export interface Counts {
  readonly read: number;
  readonly emitted: number;
  readonly skipped: number;
  readonly rejected: number;
  /**
   * Records that went to the dead-letter topic: the rejected, and those of which a part was
   * refused.
   */
  readonly deadLetters: number;
}

export function difference(after: Counts, before: Counts): Counts {
  return {
    read: after.read - before.read,
    emitted: after.emitted - before.emitted,
    skipped: after.skipped - before.skipped,
    rejected: after.rejected - before.rejected,
    deadLetters: after.deadLetters - before.deadLetters,
  };
}

/** @param counts of one burst @param sent how many records it had */
export function checkLedger(counts: Counts, sent: number): Finding[] {
  const { read, emitted, skipped, rejected, deadLetters } = counts;
  const found: Finding[] = [];
  if (read !== sent)
    found.push({ kind: 'ledger', detail: `${sent} records were sent, and ${read} are counted as read` });
  if (read !== emitted + skipped + rejected) {
    const sum = `${emitted} emitted + ${skipped} skipped + ${rejected} rejected`;
    found.push({ kind: 'ledger', detail: `${read} read are not ${sum}` });
  }
  if (deadLetters < rejected || deadLetters > rejected + emitted)
    found.push({
      kind: 'ledger',
      detail: `${deadLetters} dead letters for ${rejected} rejected and ${emitted} emitted`,
    });
  return found;
}

/** A record that was sent, and where it was stored. */
export interface Sent {
  readonly record: WireRecord;
  readonly partition: number;
  readonly offset: number;
}

const contextNames = ['topic', 'partition', 'offset', 'stage', 'exception.class.name', 'exception.message'].map(
  (name) => `__connect.errors.${name}`,
);
const omittedName = 'kafnus.value.omitted';
/** Smaller ones fit into the dead-letter topic with their context, whatever it says. */
const surelyFits = 900_000;

/**
 * Each dead letter is one of a record that was sent, once, and carries it unchanged.
 * @param deadLetters all that came to the dead-letter topic since the burst began
 * @param due how many there must be
 */
export function checkDeadLetters(
  deadLetters: readonly PlacedRecord[],
  sent: readonly Sent[],
  input: string,
  due: number,
): Finding[] {
  const found: Finding[] = [];
  const report = (detail: string): void => void (found.length < 20 && found.push({ kind: 'dead-letter', detail }));
  if (deadLetters.length !== due) report(`${deadLetters.length} dead letters are in the topic, and ${due} are counted`);
  const byPlace = new Map(sent.map((each) => [`${each.partition} ${each.offset}`, each]));
  const seen = new Set<string>();
  for (const deadLetter of deadLetters) {
    const context = contextOf(deadLetter);
    if (context === undefined) {
      report(`the dead letter at offset ${deadLetter.offset} has no context headers`);
      continue;
    }
    const place = `${context['partition']} ${context['offset']}`;
    const original = byPlace.get(place);
    if (original === undefined || context['topic'] !== input) {
      report(
        `the dead letter at offset ${deadLetter.offset} is of ${context['topic']} at ${place}, where nothing was sent`,
      );
      continue;
    }
    if (seen.has(place)) report(`the record at ${place} has a second dead letter`);
    seen.add(place);
    const change = changeOf(deadLetter, original.record);
    if (change !== undefined) report(`the dead letter of the record at ${place} is changed: ${change}`);
  }
  return found;
}

/**
 * The last headers of a dead letter, without what they are prefixed with; undefined when they are
 * not there.
 */
function contextOf(deadLetter: PlacedRecord): Record<string, string> | undefined {
  const own = deadLetter.headers.slice(ownCount(deadLetter));
  if (own.length < contextNames.length) return undefined;
  const names = own.slice(0, contextNames.length).map(({ name }) => name.toString());
  if (names.some((name, index) => name !== contextNames[index])) return undefined;
  return Object.fromEntries(
    own.map(({ name, value }) => [name.toString().replace('__connect.errors.', ''), String(value)]),
  );
}

/** How many headers of a dead letter are the record's own. */
function ownCount({ headers }: PlacedRecord): number {
  const omitted = headers.at(-1)?.name.toString() === omittedName ? 1 : 0;
  return headers.length - contextNames.length - omitted;
}

/**
 * What of the record its dead letter does not carry, but for the exceptions that SPEC 6 and 13
 * name.
 */
function changeOf(deadLetter: PlacedRecord, original: WireRecord): string | undefined {
  const omitted = deadLetter.headers.at(-1)?.name.toString() === omittedName;
  if (omitted && wireBytes(original) < surelyFits) return 'its content is left out, though it is not large';
  if (!omitted && !same(deadLetter.value, original.value))
    return `its value is ${show(deadLetter.value)}, not ${show(original.value)}`;
  if (omitted && deadLetter.value !== null) return 'it says that its value is left out, and has one';
  const count = ownCount(deadLetter);
  if (omitted && count === 0 && deadLetter.key === null) return undefined;
  if (!same(deadLetter.key, original.key)) return `its key is ${show(deadLetter.key)}, not ${show(original.key)}`;
  if (count !== original.headers.length) return `it has ${count} headers of ${original.headers.length}`;
  for (const [index, wanted] of original.headers.entries()) {
    const header = deadLetter.headers[index];
    if (header === undefined) return `header ${index} is missing`;
    if (!same(header.name, clientName(wanted.name)))
      return `header ${index} is called ${show(header.name)}, not ${show(wanted.name)}`;
    if (!same(header.value, wanted.value ?? Buffer.alloc(0)))
      return `header ${index} (${show(wanted.name)}) is ${show(header.value)}, not ${show(wanted.value)}`;
  }
  if (!isWrittenAs(deadLetter.timestamp, original.timestamp))
    return `its timestamp is ${deadLetter.timestamp}, not ${original.timestamp}`;
  return undefined;
}

/** SPEC 3: a time that Kafka does not take is replaced. */
function isWrittenAs(written: bigint, original: bigint): boolean {
  if (original === 0n) return written === 1n;
  if (original < -1n) return written === -1n;
  const now = BigInt(Date.now());
  return written === original || (original > now && written <= now && now - written < 600_000n);
}

/**
 * The client knows a header's name as text that ends at NUL (`rd_kafka_header_get_all`): what is
 * no UTF-8 is replaced.
 */
function clientName(name: Buffer): Buffer {
  const end = name.indexOf(0);
  return Buffer.from((end < 0 ? name : name.subarray(0, end)).toString());
}

function same(one: Buffer | null, other: Buffer | null): boolean {
  return one === null || other === null ? one === other : one.equals(other);
}

function show(bytes: Buffer | null): string {
  if (bytes === null) return 'null';
  return bytes.length > 40
    ? `${bytes.subarray(0, 40).toString('hex')}... (${bytes.length} bytes)`
    : `'${bytes.toString('hex')}'`;
}

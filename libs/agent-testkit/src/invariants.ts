/**
 * The requirements of exactly-once on a read_committed reader: no output is lost, repeated or
 * unexpected, and each entity is in one partition and in order.
 */

/** An output that must be seen once. */
export interface ExpectedRecord {
  /** Identifies the record. */
  readonly id: string;
  /** The entity: records of one entity keep their order. */
  readonly entity: string;
  /** The place among the records of its entity: greater means later. */
  readonly sequence: number;
}

/** Where an output was read; a reader passes these in the order of each partition. */
export interface SeenRecord {
  readonly id: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

type ViolationKind = 'lost' | 'duplicated' | 'unexpected' | 'out of order' | 'split';

/** How often a rule was broken, and the first few cases. */
interface Violation {
  readonly kind: ViolationKind;
  readonly count: number;
  readonly examples: readonly string[];
}

export interface DeliveryReport {
  readonly expected: number;
  readonly seen: number;
  /** Empty when no rule was broken. */
  readonly violations: readonly Violation[];
}

const maxExamples = 5;

/**
 * Compares the records that were read with the expected ones.
 * - lost: expected and never seen
 * - duplicated: seen again
 * - unexpected: seen and not expected
 * - out of order: seen after a later record of its entity
 * - split: an entity in more than one partition of a topic, where no order is kept
 */
export function checkExactlyOnce(expected: Iterable<ExpectedRecord>, seen: Iterable<SeenRecord>): DeliveryReport {
  const found = new Findings();
  const due = new Map<string, ExpectedRecord>();
  for (const record of expected) {
    if (due.has(record.id)) throw new Error(`The id ${record.id} is expected twice: ids must differ`);
    due.set(record.id, record);
  }

  const firstSeen = new Map<string, SeenRecord>();
  // The latest record of each entity in each topic.
  const latest = new Map<string, { readonly sequence: number; readonly at: SeenRecord }>();
  let count = 0;
  for (const at of seen) {
    count += 1;
    const first = firstSeen.get(at.id);
    if (first !== undefined) {
      found.add('duplicated', `${at.id} at ${place(first)} and again at ${place(at)}`);
      continue;
    }
    firstSeen.set(at.id, at);
    const record = due.get(at.id);
    if (record === undefined) {
      found.add('unexpected', `${at.id} at ${place(at)}`);
      continue;
    }
    const { entity, sequence } = record;
    const stream = JSON.stringify([at.topic, entity]);
    const before = latest.get(stream);
    if (before !== undefined && before.at.partition !== at.partition) {
      found.add('split', `${entity} at ${place(before.at)} and at ${place(at)}`);
    } else if (before !== undefined && before.sequence > sequence) {
      const order = `sequence ${sequence} at ${place(at)} comes after ${before.sequence} at ${place(before.at)}`;
      found.add('out of order', `${entity}: ${order}`);
      continue;
    }
    latest.set(stream, { sequence, at });
  }
  for (const record of due.values()) {
    if (!firstSeen.has(record.id)) {
      found.add('lost', `${record.id} (${record.entity}, sequence ${record.sequence})`);
    }
  }
  return { expected: due.size, seen: count, violations: found.list() };
}

/**
 * @param context the circumstances for the message, such as the fault or the seed
 * @throws Error with the number of violations of each kind, and the first cases
 */
export function expectNoViolations(report: DeliveryReport, context = ''): void {
  if (report.violations.length === 0) return;
  const lines = report.violations.flatMap(({ kind, count, examples }) => [
    `  ${kind.padEnd(12)} ${String(count).padStart(8)}`,
    ...examples.map((example) => `    ${example}`),
    ...(count > examples.length ? [`    ... and ${count - examples.length} more`] : []),
  ]);
  const title = `Not exactly once${context === '' ? '' : ` (${context})`}`;
  throw new Error([`${title}: ${report.expected} records expected, ${report.seen} seen`, ...lines].join('\n'));
}

class Findings {
  readonly #kinds = new Map<ViolationKind, { count: number; examples: string[] }>();

  add(kind: ViolationKind, example: string): void {
    const entry = this.#kinds.get(kind) ?? { count: 0, examples: [] };
    entry.count += 1;
    if (entry.examples.length < maxExamples) entry.examples.push(example);
    this.#kinds.set(kind, entry);
  }

  list(): Violation[] {
    const order: ViolationKind[] = ['lost', 'duplicated', 'unexpected', 'out of order', 'split'];
    return order.flatMap((kind) => {
      const entry = this.#kinds.get(kind);
      return entry === undefined ? [] : [{ kind, ...entry }];
    });
  }
}

function place(record: SeenRecord): string {
  return `${record.topic}-${record.partition}@${record.offset}`;
}

/**
 * One decision out of those about the entities of a record.
 */
import type { OutputRecord, Rejection, StatePut, StateReader, Step } from '@kafnus/agent-contract';
import type { SkipReason } from './codes.js';
import { outputSize } from './output-size.js';

/** The decision of an agent about one entity. */
export type EntityOutcome =
  | {
      readonly kind: 'emit';
      readonly output: OutputRecord;
      /** The attributes that are missing from the output or null. */
      readonly reports: readonly Rejection[];
      readonly put?: StatePut;
    }
  | { readonly kind: 'skip'; readonly reason: SkipReason }
  | { readonly kind: 'refuse'; readonly refusals: readonly Rejection[] };

/** The memory of a refusal beside its message, so that the limit covers millions of short ones. */
const refusalOverhead = 200;
const headerOverhead = 64;

/**
 * Joins the decisions about entities into one: the outputs, with reports of the refused entities.
 * It is also the state that the rule reads: if an entity occurs twice in a notification, the
 * second decision sees the version of the first.
 */
export class StepBuilder implements StateReader {
  /** What is known of the entity elsewhere: see rekey.ts. */
  carried: number | undefined;
  hopsExceeded = false;
  readonly #outputs: OutputRecord[] = [];
  readonly #puts: StatePut[] = [];
  readonly #refusals: Rejection[] = [];
  readonly #skipped: SkipReason[] = [];
  #recent: Map<string, number> | undefined;
  #size = 0;
  #rekeyed = 0;
  readonly #tenant: string;
  readonly #memory: StateReader;
  readonly #limit: number | undefined;

  /**
   * @param limit the largest size of the outputs of several entities together; undefined for a
   *   single entity, whose output is a small multiple of its input, and whose size the runtime
   *   checks against the largest record that the broker takes
   */
  constructor(tenant: string, memory: StateReader, limit: number | undefined) {
    this.#tenant = tenant;
    this.#memory = memory;
    this.#limit = limit;
  }

  /** Whether the outputs so far exceed the limit. */
  get isTooLarge(): boolean {
    return this.#limit !== undefined && this.#size > this.#limit;
  }

  get(key: string): number | undefined {
    const known = this.#recent?.get(key) ?? this.#memory.get(key);
    const { carried } = this;
    if (carried === undefined) return known;
    return known === undefined || carried > known ? carried : known;
  }

  /** Writes an entity back to the input. */
  rekey(output: OutputRecord): void {
    this.#outputs.push(output);
    this.#rekeyed += 1;
    // Its headers are those of the input: of any number, each an object.
    if (this.#limit !== undefined) this.#size += outputSize(output) + output.headers.length * headerOverhead;
  }

  /** @param subject whom the outcome is about; undefined when it was refused before it was known */
  add(outcome: EntityOutcome, subject?: { identity(): string }): void {
    // What was carried here is known here from now on, also when the record itself changes nothing.
    if (
      this.carried !== undefined &&
      subject !== undefined &&
      !(outcome.kind === 'emit' && outcome.put !== undefined)
    ) {
      const key = subject.identity();
      if (this.#memory.get(key) !== this.get(key)) this.#puts.push({ key, value: this.carried });
    }
    switch (outcome.kind) {
      case 'emit':
        this.#outputs.push(outcome.output);
        if (this.#limit !== undefined) this.#size += outputSize(outcome.output);
        for (const report of outcome.reports) this.#refuse(report);
        if (outcome.put !== undefined) {
          this.#puts.push(outcome.put);
          // A single entity is not decided twice.
          if (this.#limit !== undefined) {
            this.#recent ??= new Map<string, number>();
            this.#recent.set(outcome.put.key, outcome.put.value);
          }
        }
        break;
      case 'skip':
        this.#skipped.push(outcome.reason);
        break;
      case 'refuse':
        for (const refused of outcome.refusals) this.#refuse(refused);
        break;
    }
  }

  #refuse(refused: Rejection): void {
    this.#refusals.push(refused);
    this.#size += refusalOverhead + refused.message.length;
  }

  build(): Step {
    const tenant = this.#tenant;
    const outputs = this.#outputs;
    const puts = this.#puts;
    const refusals = this.#refusals;
    const skipped = this.#skipped;
    const rekeyed = this.#rekeyed;
    const more = {
      ...(puts.length > 0 && { puts }),
      ...(this.hopsExceeded && { hopsExceeded: true as const }),
    };
    if (outputs.length === 0) {
      if (refusals.length > 0) return reject(tenant, refusals);
      return { kind: 'skip', tenant, reason: skipped[0] ?? 'empty', ...more };
    }
    return {
      kind: 'emit',
      tenant,
      outputs,
      ...more,
      ...(refusals.length > 0 && { reports: refusals }),
      ...(skipped.length > 0 && { skipped }),
      ...(rekeyed > 0 && { rekeyed }),
    };
  }
}

export function reject(tenant: string, refusals: readonly Rejection[]): Step {
  const [first, ...rest] = refusals;
  if (first === undefined) throw new Error('a rejection without a reason');
  return { kind: 'reject', tenant, rejections: [first, ...rest] };
}

/** Choices that repeat with their seed. */

// In Jest each look at a global goes through the context of the test: ten times the price of these.
const { floor, imul } = Math;

export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** A whole number from 0 to below `limit`. */
  below(limit: number): number {
    return floor(this.#random() * limit);
  }

  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  chance(probability: number): boolean {
    return this.#random() < probability;
  }

  pick<T>(from: readonly T[]): T {
    const chosen = from[this.below(from.length)];
    if (chosen === undefined) throw new Error('nothing to choose from');
    return chosen;
  }

  /**
   * The result of one of these; a number before each says how often it is taken, relative to the
   * others.
   */
  weighted<T>(...choices: readonly (readonly [number, () => T])[]): T {
    let left = this.#random() * choices.reduce((all, [weight]) => all + weight, 0);
    for (const [weight, make] of choices) {
      left -= weight;
      if (left < 0) return make();
    }
    throw new Error('nothing to choose from');
  }

  times<T>(count: number, make: (index: number) => T): T[] {
    return Array.from({ length: count }, (_, index) => make(index));
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; at += 1) bytes[at] = this.below(256);
    return bytes;
  }

  /** From 0 to below 1 (mulberry32). */
  #random(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
}

/**
 * A seed for one part of a run: the same for the same names and numbers, and unlike that of its
 * neighbours.
 */
export function seedOf(seed: number, ...parts: readonly (string | number)[]): number {
  let hash = seed | 0;
  for (const character of parts.join(' ')) hash = imul(hash ^ character.charCodeAt(0), 0x01000193);
  return hash;
}

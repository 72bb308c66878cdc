/**
 * Descriptions of topics, one call at a time. An admin client makes one call after the other, and
 * each that waits for its turn holds a thread of Node's pool. So a lookup that comes during a call
 * becomes part of the next one:
 *
 *     lookup a    describe [a] ------- no answer
 *     lookup b         waits           |- describe [b c] ----
 *     lookup c              waits      |
 */
import type { TopicDescription } from '@kafnus/kafka-admin';

type Describe = (names: readonly string[], timeoutMs: number) => Promise<readonly TopicDescription[]>;

interface Lookup {
  readonly name: string;
  readonly timeoutMs: number;
  readonly resolve: (description: TopicDescription | undefined) => void;
  readonly reject: (error: unknown) => void;
}

export class TopicLookups {
  readonly #describe: Describe;
  #waiting: readonly Lookup[] = [];
  #calling = false;

  /** @param describe takes each name once: the client refuses duplicates */
  constructor(describe: Describe) {
    this.#describe = describe;
  }

  /** @returns undefined when the answer has nothing about the topic */
  lookUp(name: string, timeoutMs: number): Promise<TopicDescription | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting = [...this.#waiting, { name, timeoutMs, resolve, reject }];
      if (!this.#calling) void this.#callWhileWaiting();
    });
  }

  async #callWhileWaiting(): Promise<void> {
    this.#calling = true;
    for (let [first] = this.#waiting; first !== undefined; [first] = this.#waiting) {
      const { timeoutMs } = first;
      const lookups = this.#waiting.filter((lookup) => lookup.timeoutMs === timeoutMs);
      this.#waiting = this.#waiting.filter((lookup) => lookup.timeoutMs !== timeoutMs);
      try {
        const descriptions = await this.#describe([...new Set(lookups.map(({ name }) => name))], timeoutMs);
        for (const { name, resolve } of lookups) resolve(descriptions.find((found) => found.name === name));
      } catch (error) {
        for (const { reject } of lookups) reject(error);
      }
    }
    this.#calling = false;
  }
}

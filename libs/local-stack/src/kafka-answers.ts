/**
 * Changes a broker's answers on their way through a {@link TcpProxy}: for errors that a broker
 * gives only under circumstances that a test cannot bring about.
 *
 * Kafka's protocol: a request is its size (4 bytes), API key (2), version (2) and correlation id
 * (4), then the rest; an answer is its size and the correlation id of its request, then the rest.
 * So the requests are read to know what an answer is about.
 */
import type { ProxyFilter } from './tcp-proxy.js';

/** API keys. */
const fetch = 1;
const initProducerId = 22;

interface Request {
  readonly apiKey: number;
  readonly version: number;
}

/**
 * One answer: what it answers, and its bytes from the correlation id on, to be changed in place.
 */
interface Answer extends Request {
  readonly bytes: Buffer;
}

/** A filter for each connection. @param edit is called for each answer */
function answerFilter(edit: (answer: Answer) => void): () => ProxyFilter {
  return () => {
    const requests = new Map<number, Request>();
    const asked = new Frames();
    const answered = new Frames();
    return {
      request(bytes) {
        const frames = asked.take(bytes);
        for (const frame of frames) {
          const request = { apiKey: frame.readInt16BE(4), version: frame.readInt16BE(6) };
          requests.set(frame.readInt32BE(8), request);
        }
        return Buffer.concat(frames);
      },
      answer(bytes) {
        const frames = answered.take(bytes);
        for (const frame of frames) {
          const correlation = frame.readInt32BE(4);
          const request = requests.get(correlation);
          requests.delete(correlation);
          if (request) edit({ ...request, bytes: frame.subarray(4) });
        }
        return Buffer.concat(frames);
      },
    };
  };
}

/**
 * Answers requests for a producer id with errors.
 * @param next the error code of Kafka's protocol for the next answer, such as 31,
 * CLUSTER_AUTHORIZATION_FAILED; undefined: the broker's own answer
 */
export function refuseProducerIds(next: () => number | undefined): () => ProxyFilter {
  return answerFilter(({ apiKey, version, bytes }) => {
    const code = apiKey === initProducerId ? next() : undefined;
    // Correlation id (4 bytes), tagged fields of the header (1, none, from version 2 on), throttle
    // time (4), error code.
    if (code !== undefined) bytes.writeInt16BE(code, version >= 2 ? 9 : 8);
  });
}

/**
 * Changes a bit in fetched records: a disk or a network that damages them.
 * @param text the bit is that of its first character
 * @param isDue whether the next answer with this text is to be damaged
 */
export function damageFetched(text: string, isDue: () => boolean): () => ProxyFilter {
  return answerFilter(({ apiKey, bytes }) => {
    const at = apiKey === fetch ? bytes.indexOf(text) : -1;
    if (at >= 0 && isDue()) bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  });
}

/** Puts the pieces in which bytes arrive together to whole frames, each with its size in front. */
class Frames {
  #rest: Buffer = Buffer.alloc(0);

  take(bytes: Buffer): Buffer[] {
    const frames: Buffer[] = [];
    let rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const end = 4 + rest.readInt32BE(0);
      frames.push(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
    this.#rest = rest;
    return frames;
  }
}

/**
 * One connection to one broker, for what the Kafka client has no call for, or does too slowly:
 * configuration of topics, members of groups, changelogs. One request at a time, in the versions
 * that all brokers from Kafka 2.3 to 4 take.
 */
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { KafkaConnectionConfig } from '../connection-config.js';
import { messageOf } from '../error-text.js';
import { ByteReader, ByteWriter } from './protocol-bytes.js';
import { logIn } from './sasl-login.js';
import { tlsOptions } from './tls-options.js';

const timeoutMs = 10_000;
/** What goes before each answer: its length. */
const lengthBytes = 4;
/** More than a batch, or an answer about a thousand topics: what is longer is not Kafka. */
const maxAnswerBytes = 64 << 20;
const saslHandshake = { key: 17, version: 1 };
const saslAuthenticate = { key: 36, version: 0 };

/** A request by its number and version in Kafka's protocol. */
export interface ApiRequest {
  readonly key: number;
  readonly version: number;
}

export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

/** `host:port`, `[::1]:9092`, `PLAINTEXT://host:9092`, `host`: as librdkafka takes them. */
function addressOf(broker: string): BrokerAddress {
  const [, host = broker, port] = /^\[?([^\]]*?)\]?(?::(\d+))?$/.exec(broker.trim().replace(/^\w+:\/\//, '')) ?? [];
  return { host, port: Number(port ?? 9092) };
}

interface Waiting {
  readonly resolve: (answer: ByteReader) => void;
  readonly reject: (error: Error) => void;
}

export class WireConnection {
  readonly #socket: Socket;
  readonly clientId: string;
  #received: Buffer[] = [];
  #size = 0;
  /** Bytes of the next answer with its length; of the length alone until that is known. */
  #expected = lengthBytes;
  #correlation = 0;
  #waiting: Waiting | undefined;
  #broken: Error | undefined;

  private constructor(socket: Socket, clientId: string) {
    this.#socket = socket;
    this.clientId = clientId;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('timeout', () => socket.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    socket.on('close', () => this.#fail(new Error('the broker closed the connection')));
  }

  /**
   * Connects to the first of the brokers that answers, and logs in.
   * @throws Error naming the brokers, and why the last of them could not be used
   */
  static async open(config: KafkaConnectionConfig, clientId: string): Promise<WireConnection> {
    let problem = '';
    for (const broker of config.kafkaBrokers.split(',')) {
      try {
        return await WireConnection.to(config, clientId, addressOf(broker));
      } catch (error) {
        problem = messageOf(error) || 'it cannot be reached';
      }
    }
    throw new Error(`No Kafka answers at ${config.kafkaBrokers}: ${problem}`);
  }

  /**
   * Connects to this broker, and logs in.
   * @param signal closes the connection, whatever is under way.
   * @throws Error
   */
  static async to(
    config: KafkaConnectionConfig,
    clientId: string,
    address: BrokerAddress,
    signal?: AbortSignal,
  ): Promise<WireConnection> {
    signal?.throwIfAborted();
    const tls = config.kafkaSecurityProtocol.endsWith('ssl');
    const socket = tls ? connectTls({ ...address, ...tlsOptions(config, address.host) }) : connectPlain(address);
    const connection = new WireConnection(socket, clientId);
    const hangUp = (): void => void socket.destroy(new Error('the connection is not needed any more'));
    signal?.addEventListener('abort', hangUp);
    socket.once('close', () => signal?.removeEventListener('abort', hangUp));
    socket.setTimeout(timeoutMs);
    await new Promise<void>((resolve, reject) => {
      socket.once(tls ? 'secureConnect' : 'connect', resolve);
      socket.once('error', reject);
    });
    try {
      if (config.kafkaSecurityProtocol.startsWith('sasl_')) await connection.#logIn(config);
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /**
   * Sends a request and brings its answer. One after the other: the next only when this one has
   * ended.
   * @throws Error when the connection is broken, or when another request has no answer yet
   */
  async request({ key, version }: ApiRequest, body: Buffer): Promise<ByteReader> {
    if (this.#broken !== undefined) throw this.#broken;
    // It would take the place of the one that waits, which would then wait for ever.
    if (this.#waiting !== undefined)
      throw new Error('a request on this connection has no answer yet: wait for it first');
    this.#correlation += 1;
    const head = new ByteWriter().int16(key).int16(version).int32(this.#correlation).string(this.clientId);
    const frame = new ByteWriter().bytes(Buffer.concat([head.toBuffer(), body])).toBuffer();
    const answer = await new Promise<ByteReader>((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.setTimeout(timeoutMs);
      this.#socket.write(frame);
    });
    // Between requests the connection may rest.
    this.#socket.setTimeout(0);
    if (answer.int32() === this.#correlation) return answer;
    // Whatever comes next on it is an answer to something else as well.
    const error = new Error('the answer is not one to the request');
    this.#fail(error);
    this.#socket.destroy();
    throw error;
  }

  close(): void {
    this.#socket.destroy();
  }

  async #logIn(config: KafkaConnectionConfig): Promise<void> {
    const { kafkaSaslMechanism: mechanism } = config;
    const shaken = await this.request(saslHandshake, new ByteWriter().string(mechanism).toBuffer());
    if (shaken.int16() !== 0) {
      const offered = shaken.array(() => shaken.string());
      throw new Error(`the broker does not take ${mechanism}, but ${offered.join(', ') || 'nothing that it names'}`);
    }
    await logIn(config, async (message) => {
      const answer = await this.request(saslAuthenticate, new ByteWriter().bytes(message).toBuffer());
      const code = answer.int16();
      const reason = answer.nullableString();
      if (code !== 0) throw new Error(reason ?? `login refused with error ${code}`);
      return answer.bytes();
    });
  }

  #receive(chunk: Buffer): void {
    this.#received.push(chunk);
    this.#size += chunk.length;
    if (this.#size < this.#expected) return;
    // Put together when all is there, once: an answer to Fetch comes in many chunks.
    const bytes = this.#received.length === 1 ? chunk : Buffer.concat(this.#received);
    this.#received = [bytes];
    if (this.#expected === lengthBytes) {
      const length = bytes.readInt32BE();
      if (length < 4 || length > maxAnswerBytes) {
        this.#socket.destroy(new Error('what answers is not Kafka, or wants another security protocol'));
        return;
      }
      this.#expected = lengthBytes + length;
      if (bytes.length < this.#expected) return;
    }
    const answer = bytes.subarray(lengthBytes, this.#expected);
    this.#size -= this.#expected;
    this.#received = this.#size === 0 ? [] : [bytes.subarray(this.#expected)];
    this.#expected = lengthBytes;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(new ByteReader(answer));
  }

  #fail(error: Error): void {
    this.#broken ??= error;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(this.#broken);
  }
}

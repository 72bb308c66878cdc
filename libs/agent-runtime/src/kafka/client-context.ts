import type { ClientLogEntry, KafkaError } from '@kafnus/kafka-admin';
import type { RuntimeConfig } from '../config.js';
import type { CallsInFlight } from './calls.js';
import { allBrokersDown } from './errors.js';

/** What a session reports besides its events: for logs and metrics. */
export interface SessionListener {
  topicCreated(topic: string): void;
  /** A connection failed, or a request to one broker; the client goes on by itself. */
  brokerProblem(error: Error): void;
  /** A request gets no answer and is repeated: nothing goes on until the cluster is back. */
  clusterAway(error: Error): void;
  /** A step of a commit is repeated. */
  commitRetry(error: Error): void;
  clientLog(entry: ClientLog): void;
}

export interface ClientLog extends ClientLogEntry {
  readonly severity: number;
}

/** Reports an error that no call of a client has returned. */
export function reportEvent(listener: SessionListener, error: KafkaError): void {
  if (error.code === allBrokersDown) listener.clusterAway(error);
  else listener.brokerProblem(error);
}

/** What the parts of a session on Kafka share. */
export interface ClientContext {
  readonly config: RuntimeConfig;
  readonly agent: string;
  readonly listener: SessionListener;
  /** Calls during which no client may be disconnected. */
  readonly calls: CallsInFlight;
  /** Aborted when the session is cancelled or closes. */
  readonly cancelled: AbortSignal;
}

import { setTimeout as sleep } from 'node:timers/promises';

/** What a worker says of a connector and its tasks. */
export interface ConnectorStatus {
  /** RUNNING, FAILED, PAUSED, UNASSIGNED, RESTARTING, ... */
  readonly state: string;
  /** Why it failed. */
  readonly trace?: string;
  readonly tasks: { readonly id: number; readonly state: string; readonly trace?: string }[];
}

/** A worker answered with anything but success. */
class ConnectError extends Error {
  override readonly name = 'ConnectError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const ANSWER_TIMEOUT = 30_000;
/** While the workers of a group agree on who does what, each refuses changes with this. */
const REBALANCING = 409;
const MISSING = 404;

/** The REST interface of a worker, as far as tests and the stack need it. */
export class ConnectRest {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  /** Whether the worker has joined its group and read its topics (KIP-1017). */
  async isHealthy(): Promise<boolean> {
    try {
      return (await fetch(`${this.url}/health`, { signal: AbortSignal.timeout(ANSWER_TIMEOUT) })).ok;
    } catch {
      return false;
    }
  }

  /**
   * Creates the connector, or changes it. @throws ConnectError with what is wrong in its settings
   */
  async putConnector(name: string, config: Readonly<Record<string, string>>): Promise<void> {
    await this.#ask('PUT', `${path(name)}/config`, config);
  }

  /** Resolves when nothing of it is left. @throws ConnectError when there is no such connector */
  async deleteConnector(name: string): Promise<void> {
    await this.#ask('DELETE', path(name));
    // The answer comes first, its end later.
    for (;;) {
      try {
        await this.status(name);
      } catch (error) {
        if (error instanceof ConnectError && error.status === MISSING) return;
        throw error;
      }
      await sleep(50);
    }
  }

  /** @throws ConnectError with status 404 when there is no such connector, or not yet */
  async status(name: string): Promise<ConnectorStatus> {
    const answer = await this.#ask('GET', `${path(name)}/status`);
    if (!isStatus(answer)) throw new Error(`No status of a connector: ${JSON.stringify(answer).slice(0, 200)}`);
    return { ...answer.connector, tasks: answer.tasks };
  }

  /** Restarts what has failed of the connector, and nothing else. */
  async restartFailed(name: string): Promise<void> {
    await this.#ask('POST', `${path(name)}/restart?includeTasks=true&onlyFailed=true`);
  }

  /**
   * Resolves when the connector and all of its tasks run. @throws Error with the trace of what has
   * failed
   */
  async awaitRunning(name: string, timeoutMs = 30_000): Promise<void> {
    let last: ConnectorStatus | undefined;
    for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await sleep(50)) {
      try {
        last = await this.status(name);
      } catch (error) {
        if (error instanceof ConnectError && [MISSING, REBALANCING].includes(error.status)) continue;
        throw error;
      }
      const parts = [last, ...last.tasks];
      const failed = parts.find(({ state }) => state === 'FAILED');
      if (failed !== undefined) throw new Error(`The connector ${name} has failed: ${failed.trace ?? 'no trace'}`);
      if (last.tasks.length > 0 && parts.every(({ state }) => state === 'RUNNING')) return;
    }
    throw new Error(`The connector ${name} does not run after ${timeoutMs} ms: ${JSON.stringify(last)}`);
  }

  async #ask(method: string, resource: string, body?: object): Promise<unknown> {
    for (const deadline = Date.now() + ANSWER_TIMEOUT; ; await sleep(100)) {
      const response = await fetch(this.url + resource, {
        method,
        signal: AbortSignal.timeout(ANSWER_TIMEOUT),
        ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      });
      const text = await response.text();
      if (response.ok) return text === '' ? undefined : JSON.parse(text);
      if (response.status === REBALANCING && Date.now() < deadline) continue;
      throw new ConnectError(response.status, `${method} ${resource}: ${response.status} ${answerMessage(text)}`);
    }
  }
}

function path(name: string): string {
  return `/connectors/${encodeURIComponent(name)}`;
}

/** Errors are `{"error_code", "message"}`. */
function answerMessage(text: string): string {
  try {
    const answer: unknown = JSON.parse(text);
    if (typeof answer === 'object' && answer !== null && 'message' in answer) return String(answer.message);
  } catch {
    // Not from Connect, but from its web server.
  }
  return text.slice(0, 500);
}

/** The outer shape: it is Connect's own interface. */
function isStatus(value: unknown): value is {
  readonly connector: { readonly state: string; readonly trace?: string };
  readonly tasks: ConnectorStatus['tasks'];
} {
  if (typeof value !== 'object' || value === null || !('connector' in value) || !('tasks' in value)) return false;
  return typeof value.connector === 'object' && Array.isArray(value.tasks);
}

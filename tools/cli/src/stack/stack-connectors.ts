/** Creates the connectors of deploy/connect, and reports those that fail. */
import { connectorTemplate, type ConnectWorker } from '@kafnus/local-stack';

export const connectors = ['historic', 'lastdata', 'mutable', 'error-log'] as const;

/** Waits until all of them run. @throws Error with the trace of a connector that fails */
export async function createConnectors(worker: ConnectWorker): Promise<void> {
  // The sink creates tables, but no columns. In production, schema.evolution is none, and `kafnus
  // tables` creates both.
  const overrides = { 'schema.evolution': 'basic', 'consumer.override.metadata.max.age.ms': '2000' };
  for (const name of connectors) await worker.putConnector(name, connectorTemplate(`debezium-${name}.json`, overrides));
  await Promise.all(connectors.map((name) => worker.awaitRunning(name)));
}

export class ConnectorMonitor {
  readonly #failed = new Set<string>();
  readonly #worker: ConnectWorker;

  constructor(worker: ConnectWorker) {
    this.#worker = worker;
  }

  /** Lines about connectors that have failed since the last call. */
  async newFailures(): Promise<string[]> {
    return (await Promise.all(connectors.map((name) => this.#failureOf(name)))).flat();
  }

  async #failureOf(name: string): Promise<string[]> {
    // No answer is not a failure of the connector: the worker may be busy or stopping.
    const status = await this.#worker.status(name).catch(() => undefined);
    if (status === undefined) return [];
    const failed = [status, ...status.tasks].find(({ state }) => state === 'FAILED');
    if (failed === undefined) {
      this.#failed.delete(name);
      return [];
    }
    if (this.#failed.has(name)) return [];
    this.#failed.add(name);
    return [
      `The connector ${name} has failed:`,
      ...reasons(failed.trace ?? 'without a trace').map((line) => `    ${line}`),
      '  If a column is missing: kafnus tables apply, see docs/tables.md.',
      `  When the cause is removed: curl -X POST '${this.#worker.url}/connectors/${name}/restart?includeTasks=true&onlyFailed=true'`,
    ];
  }
}

/** A Java stack trace without its frames: the exception and its causes. */
function reasons(trace: string): string[] {
  const lines = trace.split('\n').filter((line) => line.trim() !== '' && !/^\s+(at |\.\.\. \d+ more)/.test(line));
  return lines.slice(0, 6).map((line) => line.trim().slice(0, 300));
}

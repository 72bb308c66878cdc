/** The connectors of a stack, as deploy/connect has them, and an eye on them. */
import { connectorTemplate, type ConnectWorker } from '@kafnus/local-stack';

export const connectors = ['historic', 'lastdata', 'mutable', 'error-log'] as const;

/** Creates them and waits until they run. @throws Error with the trace of one that does not */
export async function createConnectors(worker: ConnectWorker): Promise<void> {
  // Tables are made as records come, columns are not. Production has schema.evolution=none, and tables by `kafnus tables`.
  const overrides = { 'schema.evolution': 'basic', 'consumer.override.metadata.max.age.ms': '2000' };
  for (const name of connectors) await worker.putConnector(name, connectorTemplate(`debezium-${name}.json`, overrides));
  await Promise.all(connectors.map((name) => worker.awaitRunning(name)));
}

/** Watches them, and tells of each that fails, once. */
export class ConnectorWatch {
  readonly #failed = new Set<string>();
  readonly #worker: ConnectWorker;

  constructor(worker: ConnectWorker) {
    this.#worker = worker;
  }

  /** @returns lines for the user */
  async look(): Promise<string[]> {
    const told = await Promise.all(connectors.map((name) => this.#lookAt(name)));
    return told.flat();
  }

  async #lookAt(name: string): Promise<string[]> {
    // No answer is no failure: the worker may be busy, or on its way out.
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
      ...reasons(failed.trace ?? 'it does not say why').map((line) => `    ${line}`),
      '  A missing column: kafnus tables apply, see docs/tables.md.',
      `  When the cause is gone: curl -X POST '${this.#worker.url}/connectors/${name}/restart?includeTasks=true&onlyFailed=true'`,
    ];
  }
}

/** A Java stack trace without its stack: the exception, and what caused it. */
function reasons(trace: string): string[] {
  const lines = trace.split('\n').filter((line) => line.trim() !== '' && !/^\s+(at |\.\.\. \d+ more)/.test(line));
  return lines.slice(0, 6).map((line) => line.trim().slice(0, 300));
}

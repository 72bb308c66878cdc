/**
 * The records that the agents would write for notifications of a file, to plan tables before there
 * are records.
 */
import { ngsiAgent, versions, type EntityRule, type NgsiAgent, type VersionConfig } from '@kafnus/ngsi-core';
import type { SinkRecord } from './connect-row.js';
import type { TableFinding } from './table-finding.js';
import { excerpt } from '../terminal/text.js';

/** The agents that write rows for entities. */
export const sampleAgents = ['historic', 'lastdata', 'mutable'] as const;
export type SampleAgent = (typeof sampleAgents)[number];

/** The headers of the sample's records. */
export interface SampleHeaders {
  readonly service: string;
  readonly servicepath: string;
  readonly datamodel: string | undefined;
}

/**
 * The rule of lastdata without its state: which of two versions is newer does not change their
 * columns.
 */
const anyVersion: EntityRule = (subject) => {
  const { timeInstant, alteration } = subject.entity;
  if (alteration === 'delete') return subject.tombstone();
  switch (timeInstant.kind) {
    case 'missing':
      return subject.row(undefined);
    case 'text':
      return subject.row(timeInstant.text);
    case 'not-text':
      return subject.noDate(timeInstant.value);
  }
};

const emptyStore = { get: () => undefined };
/** The shape of a table does not depend on the timestamps of records. */
const anyTimestamp = 0;

/** Applies the decisions of the agents to notifications (SPEC 3), and collects their rejections. */
export class Sampler {
  readonly #agents: readonly { readonly name: SampleAgent; readonly agent: NgsiAgent }[];
  readonly #headers: readonly Readonly<Record<string, string>>[];
  readonly #refused = new Map<string, { agent: SampleAgent; code: string; count: number; example: string }>();

  /** @throws Error naming the setting when the settings do not fit together */
  constructor(
    agents: readonly SampleAgent[],
    config: VersionConfig,
    { service, servicepath, datamodel }: SampleHeaders,
  ) {
    this.#agents = agents.map((name) => ({ name, agent: agentOf(name, config) }));
    this.#headers = [
      { 'fiware-service': service },
      { 'fiware-servicepath': servicepath },
      ...(datamodel === undefined ? [] : [{ 'fiware-datamodel': datamodel }]),
    ];
  }

  /** @param notification as JSON text */
  records(notification: string): SinkRecord[] {
    const record = { timestamp: anyTimestamp, value: Buffer.from(notification), headers: this.#headers };
    return this.#agents.flatMap(({ name, agent }) => {
      const decision = agent.decide(record, emptyStore);
      if (decision.kind === 'reject')
        for (const { code, message } of decision.rejections) this.#refuse(name, code, message);
      if (decision.kind !== 'emit') return [];
      for (const { code, message } of decision.reports ?? []) this.#refuse(name, code, message);
      return [...decision.outputs];
    });
  }

  /** One for each agent and reason. */
  findings(): TableFinding[] {
    return [...this.#refused.values()].map(({ agent, code, count, example }) => ({
      level: 'note',
      code: 'sample-refused',
      message: `${agent} refuses ${count} ${count === 1 ? 'part' : 'parts'} of the sample (${code}): ${excerpt(example, 200)}`,
      advice: 'the agent would write it to the dead-letter topic',
    }));
  }

  #refuse(agent: SampleAgent, code: string, message: string): void {
    const known = this.#refused.get(`${agent} ${code}`);
    if (known) known.count += 1;
    else this.#refused.set(`${agent} ${code}`, { agent, code, count: 1, example: message });
  }
}

function agentOf(name: SampleAgent, config: VersionConfig): NgsiAgent {
  switch (name) {
    case 'lastdata':
      return ngsiAgent({ name, suffix: '_lastdata', keyedByTimeInstant: false }, config, anyVersion);
    case 'historic':
      return ngsiAgent({ name, suffix: '', keyedByTimeInstant: true }, config, versions(config));
    case 'mutable':
      return ngsiAgent({ name, suffix: '_mutable', keyedByTimeInstant: true }, config, versions(config));
  }
}

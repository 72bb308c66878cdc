/** From notifications in a file to the records that the agents would make of them: planning before anything flows. */
import { ngsiAgent, versions, type EntityRule, type NgsiAgent, type VersionConfig } from '@kafnus/ngsi-core';
import type { SinkRecord } from './connect-row.js';
import type { Finding } from './finding.js';
import { clipped, printable } from '../terminal/text.js';

/** The agents that write rows of entities. */
export const sampleAgents = ['historic', 'lastdata', 'mutable'] as const;
export type SampleAgent = (typeof sampleAgents)[number];

/** What a record of a sample comes with. */
export interface SampleHeaders {
  readonly service: string;
  readonly servicepath: string;
  readonly datamodel: string | undefined;
}

/** lastdata's rule without its memory: which of two versions is newer says nothing about their columns. */
const anyVersion: EntityRule = (subject) => {
  const { timeInstant, deletion } = subject.entity;
  if (deletion === 'announced') return subject.tombstone();
  switch (timeInstant.kind) {
    case 'missing':
      return subject.row(undefined);
    case 'text':
      return subject.row(timeInstant.text);
    case 'not-text':
      return subject.noDate(timeInstant.value);
  }
};

const NO_MEMORY = { get: () => undefined };
/** The moment of a record that was never written: nothing of a shape depends on it. */
const NO_TIME = 0;

/** Turns notifications into records by the decisions of the agents (SPEC 3), and keeps what they refuse. */
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

  /** @param notification the JSON text of one */
  records(notification: string): SinkRecord[] {
    const record = { timestamp: NO_TIME, value: Buffer.from(notification), headers: this.#headers };
    return this.#agents.flatMap(({ name, agent }) => {
      const decision = agent.decide(record, NO_MEMORY);
      if (decision.kind === 'reject')
        for (const { code, message } of decision.rejections) this.#refuse(name, code, message);
      if (decision.kind !== 'emit') return [];
      for (const { code, message } of decision.reports ?? []) this.#refuse(name, code, message);
      return [...decision.outputs];
    });
  }

  /** One for each agent and reason. */
  findings(): Finding[] {
    return [...this.#refused.values()].map(({ agent, code, count, example }) => ({
      level: 'note',
      code: 'sample-refused',
      message: `${agent} refuses something in ${count} ${count === 1 ? 'place' : 'places'} of the sample (${code}): ${clipped(printable(example), 200)}`,
      advice: 'it would go to the dead-letter topic, and not to a table',
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

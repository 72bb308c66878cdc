import type { InputRecord, OutputRecord } from '@kafnus/agent-runtime';
import { AgentDriver, type PipedRecord } from '@kafnus/agent-testkit';
import { agent as errors } from '../../../services/errors/src/agent.js';
import { agent as historic } from '../../../services/historic/src/agent.js';
import { agent as lastdata } from '../../../services/lastdata/src/agent.js';
import { agent as mutable } from '../../../services/mutable/src/agent.js';
import { cityNotifications } from '../src/city.js';
import {
  stepPublications,
  cityPublication,
  expectationsOf,
  DemoTopicNames,
  ngsiAgents,
  rawRecord,
  sinkFailureRecord,
  type Expectations,
  type PublishedNotification,
} from '../src/demo/demo-expectations.js';
import type { Observation } from '../src/demo/compare.js';
import type { RawRecord } from '../src/kafka/publisher.js';

const partitionCount = 4;
const now = Date.UTC(2026, 5, 1);

/** The demo's scenario through the agents' decisions, without processes and brokers. */
export function simulatedDemo(): {
  names: DemoTopicNames;
  published: PublishedNotification[];
  expected: Expectations;
  seen: Observation;
} {
  const names = new DemoTopicNames('');
  const city = cityNotifications({ seed: 3, entities: 10 });
  const published = [
    ...stepPublications(now),
    ...Array.from({ length: 25 }, () => cityPublication(city.next().value, now + 1)),
  ];
  const cluster = new Cluster();
  const drivers = {
    historic: new AgentDriver(historic),
    lastdata: new AgentDriver(lastdata),
    mutable: new AgentDriver(mutable),
    errors: new AgentDriver(errors),
  };
  const failure = sinkFailureRecord(names, now);
  const dead: Parameters<Cluster['write']>[0][] = [failure];
  for (const agent of ngsiAgents) {
    const driver = drivers[agent];
    for (const publication of published) driver.pipe(piped(cluster.write(rawRecord(names.raw(agent), publication))));
    for (const outputs of driver.outputs.values()) for (const output of outputs) cluster.write(output);
    dead.push(...driver.deadLetters);
  }
  for (const deadLetter of dead) drivers.errors.pipe(piped(cluster.write(deadLetter)));
  for (const outputs of drivers.errors.outputs.values()) for (const output of outputs) cluster.write(output);

  const observed = Object.entries(drivers).map(([name, driver]) => {
    const unkeyed = name === 'errors' ? 0 : 1;
    const stateEntries = name === 'lastdata' ? [...driver.state().entries()].length : null;
    return [name, { ledger: driver.ledger.totals(), unkeyed, stateEntries }];
  });
  const topics = [...new Set(cluster.records.map(({ topic }) => topic))];
  return {
    names,
    published,
    expected: expectationsOf(names, published),
    seen: { topics, records: cluster.records, agents: Object.fromEntries(observed) },
  };
}

function piped({ topic, key, value, timestamp, headers }: InputRecord): PipedRecord {
  return { topic, key, value, timestamp, headers };
}

/** Gives records their place, as brokers would. */
class Cluster {
  readonly records: InputRecord[] = [];
  readonly #ends = new Map<string, number>();

  write(record: (RawRecord | Omit<OutputRecord, 'partition'>) & { readonly partitionHash?: number }): InputRecord {
    const { topic, key, value, headers, timestamp = now, partitionHash = 0 } = record;
    const partition = partitionHash % partitionCount;
    const place = `${topic}-${partition}`;
    const offset = this.#ends.get(place) ?? 0;
    this.#ends.set(place, offset + 1);
    const written = { topic, partition, offset, timestamp, key: bytes(key), value: bytes(value), headers };
    this.records.push(written);
    return written;
  }
}

function bytes(content: string | Buffer | null): Buffer | null {
  return content === null ? null : Buffer.from(content);
}

/**
 * The state and the members of consumer groups, classic ones (DescribeGroups) and those of KIP-848
 * (ConsumerGroupDescribe), asked of each group's coordinator. The Kafka client has a call for it,
 * and ends the process (a null pointer in its native part) when the coordinator answers with an
 * error: no right to see the group, or a coordinator that is about to move.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KafkaConnectionConfig } from '../connection-config.js';
import { messageOf } from '../error-text.js';
import { ByteWriter } from './protocol-bytes.js';
import { WireConnection, type ApiRequest } from './wire-connection.js';
import { readClassicGroup, readConsumerGroup, refusal, type GroupAnswer } from './group-answers.js';
import { canConnect } from './sasl-login.js';

const findCoordinator: ApiRequest = { key: 10, version: 1 };
const describeClassicGroups: ApiRequest = { key: 15, version: 1 };
const apiVersions: ApiRequest = { key: 18, version: 0 };
const describeConsumerGroups: ApiRequest = { key: 69, version: 0 };
const groupKey = 0;

/** After this long, a coordinator that moves is available again. */
const retryTimeoutMs = 10_000;
const retryDelayMs = 100;

/**
 * What the cluster tells about these groups: an answer for each of them.
 * @returns undefined when only the Kafka client can log in (Kerberos)
 * @throws Error when no broker answers, or a connection breaks
 */
export async function describeGroups(
  config: KafkaConnectionConfig,
  clientId: string,
  groups: readonly string[],
): Promise<Map<string, GroupAnswer> | undefined> {
  if (!canConnect(config)) return undefined;
  const connection = await WireConnection.open(config, clientId);
  try {
    return await groupsIn(connection, config, groups);
  } finally {
    connection.close();
  }
}

/**
 * As {@link describeGroups}, by a connection that is there.
 * @param connection to any broker; the coordinators are connected to for the time of the call
 * @throws Error when this connection breaks
 */
export async function groupsIn(
  connection: WireConnection,
  config: KafkaConnectionConfig,
  groups: readonly string[],
): Promise<Map<string, GroupAnswer>> {
  const coordinators = new Coordinators(config, connection.clientId);
  const deadline = Date.now() + retryTimeoutMs;
  const answers = new Map<string, GroupAnswer>();
  try {
    for (const group of new Set(groups)) {
      let answer = await lookUp(connection, coordinators, group);
      while (answer.kind === 'refused' && answer.transient && Date.now() < deadline) {
        await sleep(retryDelayMs);
        answer = await lookUp(connection, coordinators, group);
      }
      answers.set(group, answer);
    }
    return answers;
  } finally {
    coordinators.close();
  }
}

async function lookUp(connection: WireConnection, coordinators: Coordinators, group: string): Promise<GroupAnswer> {
  const found = await connection.request(findCoordinator, new ByteWriter().string(group).int8(groupKey).toBuffer());
  found.int32(); // throttled for so many ms
  const code = found.int16();
  const brokerMessage = found.nullableString();
  found.int32(); // the broker's id
  const host = found.string();
  const port = found.int32();
  if (code !== 0) return refusal(group, code, brokerMessage);
  return coordinators.ask(host, port, group);
}

/** A connection to each coordinator, which is used for the next group as well. */
class Coordinators {
  readonly #open = new Map<string, WireConnection>();

  constructor(
    private readonly config: KafkaConnectionConfig,
    private readonly clientId: string,
  ) {}

  async ask(host: string, port: number, group: string): Promise<GroupAnswer> {
    const address = `${host}:${port}`;
    try {
      const connection =
        this.#open.get(address) ?? (await WireConnection.to(this.config, this.clientId, { host, port }));
      this.#open.set(address, connection);
      return await describe(connection, group);
    } catch (error) {
      // A broker that stops is named as coordinator until another one takes over.
      this.#open.get(address)?.close();
      this.#open.delete(address);
      const message = `the coordinator of group ${group}, ${address}: ${messageOf(error)}`;
      return { kind: 'refused', transient: true, message };
    }
  }

  close(): void {
    for (const connection of this.#open.values()) connection.close();
  }
}

async function describe(connection: WireConnection, group: string): Promise<GroupAnswer> {
  const body = new ByteWriter();
  body.array([group], (name) => body.string(name));
  const classic = readClassicGroup(await connection.request(describeClassicGroups, body.toBuffer()), group);
  if (classic.kind !== 'absent' || !(await supports(connection, describeConsumerGroups))) return classic;

  // The head of a flexible request ends with tagged fields (KIP-482).
  const flexible = new ByteWriter().noTags();
  flexible.compactArray([group], (name) => flexible.compactString(name));
  // Without the operations that the user may do.
  flexible.boolean(false).noTags();
  return readConsumerGroup(await connection.request(describeConsumerGroups, flexible.toBuffer()), group);
}

/** A broker closes the connection at a request that it does not know. */
async function supports(connection: WireConnection, { key, version }: ApiRequest): Promise<boolean> {
  const answer = await connection.request(apiVersions, Buffer.alloc(0));
  if (answer.int16() !== 0) return false;
  const offered = answer.array(() => ({ key: answer.int16(), least: answer.int16(), most: answer.int16() }));
  return offered.some((one) => one.key === key && one.least <= version && version <= one.most);
}

/**
 * How many members a consumer group has: FindCoordinator, and DescribeGroups of the broker that it names. The Kafka client has
 * a call for it, and ends the process (a null pointer in its native part) when the group's coordinator answers with an
 * error: no right to see the group, or a coordinator that is about to move.
 */
import type { RuntimeConfig } from '../../config.js';
import { ByteWriter } from './bytes.js';
import { WireConnection, type ApiRequest } from './connection.js';

const findCoordinator: ApiRequest = { key: 10, version: 1 };
const describeGroups: ApiRequest = { key: 15, version: 1 };
const groupKey = 0;

/**
 * The living members of a group. One of the protocol of KIP-848 is told with none.
 * @returns undefined when the user may not know, or nobody knows just now
 * @throws Error when a connection breaks
 */
export async function groupMembers(
  connection: WireConnection,
  config: RuntimeConfig,
  group: string,
): Promise<number | undefined> {
  const found = await connection.request(findCoordinator, new ByteWriter().string(group).int8(groupKey).toBuffer());
  found.int32(); // throttled for so many ms
  const code = found.int16();
  found.nullableString(); // message
  found.int32(); // the broker's id
  const host = found.string();
  const port = found.int32();
  if (code !== 0) return undefined;

  const coordinator = await WireConnection.to(config, connection.clientId, { host, port });
  try {
    const body = new ByteWriter();
    body.array([group], (name) => body.string(name));
    const answer = await coordinator.request(describeGroups, body.toBuffer());
    answer.int32(); // throttled for so many ms
    const [described] = answer.array(() => {
      const error = answer.int16();
      for (let text = 0; text < 4; text += 1) answer.string(); // group, state, protocol type, protocol
      const members = answer.array(() => {
        for (let text = 0; text < 3; text += 1) answer.string(); // member id, client id, host
        answer.bytes(); // metadata
        answer.bytes(); // assignment
      });
      return error === 0 ? members.length : undefined;
    });
    return described;
  } finally {
    coordinator.close();
  }
}

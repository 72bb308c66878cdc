/** What brokers answer about a consumer group of either protocol, decoded. */
import { ByteReader } from './protocol-bytes.js';

interface GroupMember {
  readonly id: string;
  readonly client: string;
  /** As the coordinator sees it: mostly an address. */
  readonly host: string;
  /** The partitions that it has now, by topic. */
  readonly partitions: ReadonlyMap<string, readonly number[]>;
}

/** What is known of a group. */
export type GroupAnswer =
  | {
      readonly kind: 'group';
      /** `unknown`: the broker has a state that is not known here. */
      readonly state: 'empty' | 'rebalancing' | 'stable' | 'unknown';
      readonly members: readonly GroupMember[];
    }
  /** No member and no committed offset. */
  | { readonly kind: 'absent' }
  /** `transient`: the coordinator starts or moves, and is to be looked up and asked again. */
  | { readonly kind: 'refused'; readonly transient: boolean; readonly message: string };

/** Error codes of the protocol that are decided on. */
const errors = {
  coordinatorLoading: 14,
  coordinatorNotAvailable: 15,
  notCoordinator: 16,
  topicAuthorization: 29,
  groupAuthorization: 30,
  unsupportedVersion: 35,
  groupIdNotFound: 69,
} as const;

/**
 * @param code of the protocol
 * @param brokerMessage of the answer, where it has one
 */
export function refusal(group: string, code: number, brokerMessage: string | null = null): GroupAnswer {
  const refused = (message: string, transient = false): GroupAnswer => ({ kind: 'refused', transient, message });
  switch (code) {
    case errors.coordinatorLoading:
      return refused(`the coordinator of group ${group} is loading`, true);
    case errors.coordinatorNotAvailable:
      return refused(`group ${group} has no coordinator: are all brokers well?`, true);
    case errors.notCoordinator:
      return refused(`the coordinator of group ${group} is about to move`, true);
    case errors.groupAuthorization:
      return refused(`not authorised: grant the user Describe on group ${group}`);
    case errors.topicAuthorization:
      return refused(`not authorised: grant the user Describe on each topic that group ${group} reads`);
    default:
      return refused(`group ${group}: ${brokerMessage || 'the broker refuses'} (error ${code})`);
  }
}

const states: ReadonlyMap<string, 'empty' | 'rebalancing' | 'stable'> = new Map([
  ['Empty', 'empty'],
  ['Stable', 'stable'],
  // Classic groups.
  ['PreparingRebalance', 'rebalancing'],
  ['CompletingRebalance', 'rebalancing'],
  // KIP-848.
  ['Assigning', 'rebalancing'],
  ['Reconciling', 'rebalancing'],
]);

const dead = 'Dead';

/**
 * The answer to DescribeGroups, version 1, about one group. A group of KIP-848 is absent there.
 * @throws RangeError
 */
export function readClassicGroup(answer: ByteReader, group: string): GroupAnswer {
  answer.int32(); // throttled for so many ms
  const [described] = answer.array((): GroupAnswer => {
    const code = answer.int16();
    answer.string(); // group
    const state = answer.string();
    const protocolType = answer.string();
    answer.string(); // protocol
    const members = answer.array((): GroupMember => {
      const id = answer.string();
      const client = answer.string();
      const host = hostOf(answer.string());
      answer.bytes(); // metadata
      const assignment = answer.bytes();
      // Others than consumers, such as Connect's workers, assign other things.
      const partitions = protocolType === 'consumer' ? classicAssignment(assignment) : new Map<string, number[]>();
      return { id, client, host, partitions };
    });
    return groupOf(group, code, null, state, members);
  });
  return described ?? { kind: 'absent' };
}

/** ConsumerProtocolAssignment; without a byte while the group has not agreed yet. */
function classicAssignment(bytes: Buffer): Map<string, readonly number[]> {
  if (bytes.length === 0) return new Map();
  const reader = new ByteReader(bytes);
  reader.int16(); // version: what is read here is the same in all
  return new Map(reader.array(() => [reader.string(), reader.array(() => reader.int32())] as const));
}

/**
 * The answer to ConsumerGroupDescribe, version 0 (KIP-848), about one group. A classic group is
 * absent there.
 * @throws RangeError
 */
export function readConsumerGroup(answer: ByteReader, group: string): GroupAnswer {
  answer.tags();
  answer.int32(); // throttled for so many ms
  const [described] = answer.compactArray((): GroupAnswer => {
    const code = answer.int16();
    const brokerMessage = answer.compactNullableString();
    answer.compactString(); // group
    const state = answer.compactString();
    answer.int32(); // epoch of the group
    answer.int32(); // epoch of the assignment
    answer.compactString(); // assignor
    const members = answer.compactArray((): GroupMember => {
      const id = answer.compactString();
      answer.compactNullableString(); // instance
      answer.compactNullableString(); // rack
      answer.int32(); // epoch
      const client = answer.compactString();
      const host = hostOf(answer.compactString());
      answer.compactArray(() => answer.compactString()); // subscribed topics
      answer.compactNullableString(); // subscribed pattern
      const partitions = consumerAssignment(answer);
      consumerAssignment(answer); // what it is to have in the end
      answer.tags();
      return { id, client, host, partitions };
    });
    answer.int32(); // authorised operations
    answer.tags();
    return groupOf(group, code, brokerMessage, state, members);
  });
  return described ?? { kind: 'absent' };
}

function consumerAssignment(answer: ByteReader): Map<string, readonly number[]> {
  const partitions = answer.compactArray(() => {
    answer.uuid(); // topic
    const topic = answer.compactString();
    const numbers = answer.compactArray(() => answer.int32());
    answer.tags();
    return [topic, numbers] as const;
  });
  answer.tags();
  return new Map(partitions);
}

function groupOf(
  group: string,
  code: number,
  brokerMessage: string | null,
  state: string,
  members: readonly GroupMember[],
): GroupAnswer {
  // A broker whose group coordinator does not support KIP-848 has none.
  if (code === errors.groupIdNotFound || code === errors.unsupportedVersion) return { kind: 'absent' };
  if (code !== 0) return refusal(group, code, brokerMessage);
  if (state === dead) return { kind: 'absent' };
  return { kind: 'group', state: states.get(state) ?? 'unknown', members };
}

/** Java writes an address as `name/address`, and the name is not looked up. */
function hostOf(host: string): string {
  return host.replace(/^\//, '');
}

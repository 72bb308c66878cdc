/**
 * Adds ACLs through Kafka's protocol (KIP-140, KIP-290). The JavaScript client cannot add any, and
 * the command line tool takes two seconds for a few.
 */
import { connect, type Socket } from 'node:net';

const resourceTypes = { topic: 2, group: 3, cluster: 4, 'transactional-id': 5 } as const;
const patternTypes = { literal: 3, prefixed: 4 } as const;
const operations = {
  All: 2,
  Read: 3,
  Write: 4,
  Create: 5,
  Delete: 6,
  Alter: 7,
  Describe: 8,
  DescribeConfigs: 10,
  AlterConfigs: 11,
  IdempotentWrite: 12,
} as const;
const permissions = { deny: 2, allow: 3 } as const;

/** One right of one principal. */
export interface Acl {
  /** Such as `User:CN=historic`. */
  readonly principal: string;
  readonly resource: keyof typeof resourceTypes;
  readonly name: string;
  readonly pattern: keyof typeof patternTypes;
  readonly operation: keyof typeof operations;
  /** Default allow. */
  readonly permission?: keyof typeof permissions;
}

/**
 * @param server `host:port` of a plaintext listener whose users may alter the cluster
 * @throws Error with the broker's message
 */
export async function addAcls(server: string, acls: readonly Acl[]): Promise<void> {
  const createAcls = { key: 30, version: 1 };
  const body = Buffer.concat([
    int16(createAcls.key),
    int16(createAcls.version),
    int32(1),
    text('kafnus-testkit'),
    int32(acls.length),
    ...acls.flatMap((acl) => encoded(acl)),
  ]);
  const [host = '', port = ''] = server.split(/:(?=\d+$)/);
  const socket = connect(Number(port), host);
  socket.write(Buffer.concat([int32(body.length), body]));
  const answer = await response(socket);
  // The answer has a correlation id, a throttle time, and the number of results: one for each ACL.
  for (let at = 12, left = answer.readInt32BE(8); left > 0; left -= 1) {
    const code = answer.readInt16BE(at);
    const length = Math.max(0, answer.readInt16BE(at + 2));
    if (code !== 0)
      throw new Error(`an ACL was refused: ${answer.toString('utf8', at + 4, at + 4 + length)} (${code})`);
    at += 4 + length;
  }
}

function encoded({ principal, resource, name, pattern, operation, permission = 'allow' }: Acl): Buffer[] {
  return [
    int8(resourceTypes[resource]),
    text(name),
    int8(patternTypes[pattern]),
    text(principal),
    text('*'),
    int8(operations[operation]),
    int8(permissions[permission]),
  ];
}

async function response(socket: Socket): Promise<Buffer> {
  let received = Buffer.alloc(0);
  for await (const chunk of socket) {
    received = Buffer.concat([received, chunk as Buffer]);
    if (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) return received.subarray(4);
  }
  throw new Error('the broker closed the connection instead of an answer');
}

function int8(value: number): Buffer {
  return Buffer.from([value]);
}

function int16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeInt16BE(value);
  return buffer;
}

function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32BE(value);
  return buffer;
}

function text(value: string): Buffer {
  return Buffer.concat([int16(Buffer.byteLength(value)), Buffer.from(value)]);
}

/** Configuration: DescribeConfigs (KIP-133) and IncrementalAlterConfigs (KIP-339). */
import { ByteWriter } from './protocol-bytes.js';
import type { ApiRequest, WireConnection } from './wire-connection.js';

const describeConfigs: ApiRequest = { key: 32, version: 1 };
const incrementalAlterConfigs: ApiRequest = { key: 44, version: 0 };
const setOperation = 0;

/** What has configuration, and how the protocol numbers it. */
const resourceTypes = { topic: 2, broker: 4 } as const;

export interface Resource {
  readonly type: keyof typeof resourceTypes;
  /** A topic's name, or a broker's id. */
  readonly name: string;
}

/** Error codes of the protocol that are decided on. */
export const wireErrors = { unknownTopic: 3, topicAuthorization: 29, clusterAuthorization: 31 } as const;

/** A resource's configuration, or the broker's refusal. */
export type ConfigAnswer =
  | { readonly kind: 'config'; readonly name: string; readonly values: ReadonlyMap<string, string> }
  | { readonly kind: 'refused'; readonly name: string; readonly code: number; readonly message: string };

/**
 * The values of these settings, whatever they come from; a setting that the broker does not have is
 * left out.
 * @throws Error when the connection breaks
 */
export async function readConfigs(
  connection: WireConnection,
  resources: readonly Resource[],
  names: readonly string[],
): Promise<ConfigAnswer[]> {
  const body = new ByteWriter();
  body.array(resources, ({ type, name }) => {
    body
      .int8(resourceTypes[type])
      .string(name)
      .array(names, (setting) => body.string(setting));
  });
  // Without synonyms.
  const answer = await connection.request(describeConfigs, body.boolean(false).toBuffer());
  answer.int32(); // throttled for so many ms
  return answer.array(() => {
    const code = answer.int16();
    const message = answer.nullableString() || `error ${code}`;
    answer.int8(); // type
    const name = answer.string();
    const values = new Map<string, string>();
    answer.array(() => {
      const setting = answer.string();
      const value = answer.nullableString();
      answer.boolean(); // read only
      answer.int8(); // source
      answer.boolean(); // sensitive
      answer.array(() => [answer.string(), answer.nullableString(), answer.int8()]);
      if (value !== null) values.set(setting, value);
    });
    return code === 0 ? { kind: 'config', name, values } : { kind: 'refused', name, code, message };
  });
}

/**
 * Sets these settings of a topic, and leaves all others as they are.
 * @returns the broker's refusal; undefined when it is done
 */
export async function setTopicConfig(
  connection: WireConnection,
  topic: string,
  settings: ReadonlyMap<string, string>,
): Promise<{ readonly code: number; readonly message: string } | undefined> {
  const body = new ByteWriter();
  body.array([topic], (name) => {
    body
      .int8(resourceTypes.topic)
      .string(name)
      .array([...settings], ([setting, value]) => body.string(setting).int8(setOperation).string(value));
  });
  // Not only validated, but done.
  const answer = await connection.request(incrementalAlterConfigs, body.boolean(false).toBuffer());
  answer.int32(); // throttled for so many ms
  const [outcome] = answer.array(() => {
    const code = answer.int16();
    const message = answer.nullableString() || `error ${code}`;
    answer.int8(); // type
    answer.string(); // name
    return { code, message };
  });
  return outcome === undefined || outcome.code === 0 ? undefined : outcome;
}

/** Generates docs/errors.md: every code, and what to do about it. */
import { code, prose, table } from './markdown.mjs';

/** The reject codes of the runtime (SPEC 13). test/docs compares the list with the code. */
export const runtimeCodes = {
  'topic-unwritable':
    'The output topic cannot be written: no right, an illegal name, a policy; it does not exist and is not created; it was not available for too long.',
  'record-too-large': 'An output is larger than the producer may send, or as large as one that its topic has refused.',
  'input-too-large': 'The record is larger than the setting maxInputBytes allows.',
  'record-refused': 'The output topic takes other records, and not this one: its size, its timestamp, its missing key.',
  'decision-failed':
    'The agent threw an exception on this record, which is a defect of the agent. The log has the stack.',
};

const normalizedAdvice =
  'Correct the subscription: `"attrsFormat": "normalized"`, and no `payload`, `json` or `ngsi` ([orion.md](orion.md)).';
const publisherAdvice = 'Find the publisher, which is not Orion. The dead letter has the bytes.';
const deviceAdvice = 'Correct the device, or the client that writes the attribute to Orion.';

/**
 * The operator's action for each code. Generation fails for a code without an action, or an action
 * without a code.
 */
const advice = {
  'value-missing': 'Find the publisher of tombstones. Raw topics are not compacted.',
  'not-utf8': publisherAdvice,
  'not-json': publisherAdvice,
  'not-a-notification': normalizedAdvice,
  'timestamp-invalid': 'Correct the clock or the code of the publisher.',
  'service-invalid': 'Use another fiware-service: [security.md](security.md#what-tenants-can-do).',
  'servicepath-missing': 'Publish with a service path, or choose another `KAFNUS_DATAMODEL`.',
  'table-missing': 'Use an entity type with a letter or a digit of a-z, 0-9.',
  'table-name-invalid':
    'Use a shorter service path or entity type, or a data model without the service path in the table.',
  'text-unstorable': deviceAdvice,
  'entity-invalid': normalizedAdvice,
  'entity-id-invalid': `${normalizedAdvice} When the message says that the id is too long, shorten it in the device.`,
  'entity-type-invalid': `${normalizedAdvice} When the message says that the type is too long, shorten it in the device.`,
  'attributes-too-many': 'List the needed attributes in the subscription (`notification.attrs`), or divide the entity.',
  'timeinstant-missing':
    'Send TimeInstant with the subscription, or set `KAFNUS_MISSING_TIME_INSTANT=record-timestamp`.',
  'timeinstant-invalid': 'Correct the device or its IoT agent: use ISO 8601.',
  'topic-unwritable':
    'Correct the right, the name or the policy, then run `kafnus replay`: [runbook](runbooks/topic-unwritable.md).',
  'record-too-large':
    'Publish smaller attributes; or raise `message.max.bytes` in `KAFNUS_KAFKA_PRODUCER` and `max.message.bytes` of the topics.',
  'header-too-long': publisherAdvice,
  'output-too-large':
    'Publish fewer entities in one notification; or raise `KAFNUS_MAX_OUTPUT_BYTES`, and the memory of the agent with it.',
  'input-too-large':
    'Publish smaller notifications; or raise `KAFNUS_MAX_INPUT_BYTES`, and the memory of the agent with it.',
  'decision-failed':
    'Report it, with the log line “the decision about a record failed” and the dead letter; run `kafnus replay` after the fix.',
  'record-refused':
    'Raise the limit of the topic that the message names, such as `max.message.bytes` or `message.timestamp.after.max.ms` (`kafnus topics check` reports them); then run `kafnus replay`.',
  'date-invalid': deviceAdvice,
  'geometry-invalid': 'Correct the device. geo:point has `lat,lon`, GeoJSON has `[lon, lat]`.',
  'number-invalid': deviceAdvice,
  'nesting-too-deep': deviceAdvice,
  'attribute-not-normalized': normalizedAdvice,
  'text-invalid': deviceAdvice,
  'name-invalid': 'Rename the attribute, or exclude it from the subscription.',
  'name-clash': 'Rename one of the two, or exclude it from the subscription.',
  empty: 'Nothing.',
  stale: 'Nothing: late data. If there are many, check for a second subscription with the same entities.',
  'rekeyed-elsewhere': 'Nothing: two groups read one raw topic.',
  delete: 'Nothing. Exclude entityDelete from the subscriptions of historic and mutable.',
  'tenant-not-allowed': 'Nothing, or add the service to `KAFNUS_TENANTS`. These records are not dead-lettered.',
};

/**
 * @param {{ rejectCodes: object, attributeCodes: object, skipReasons: object, findingCodes: object
 * }} codes texts by code
 */
export function errorsPage({ rejectCodes, attributeCodes, skipReasons, findingCodes }) {
  const known = { ...rejectCodes, ...runtimeCodes, ...attributeCodes, ...skipReasons };
  const stray = Object.keys(advice).filter((name) => !Object.hasOwn(known, name));
  if (stray.length > 0) throw new Error(`docs/errors.md has advice for codes that do not exist: ${stray.join(', ')}`);
  const rows = (codes) =>
    table(
      ['code', 'meaning', 'what to do'],
      Object.entries(codes).map(([name, meaning]) => {
        if (advice[name] === undefined) throw new Error(`docs/errors.md has no advice for the code ${name}`);
        return [code(name), prose(meaning), advice[name]];
      }),
    );
  return `<!-- Written by \`make docs\` from libs/ngsi-core/src/codes.ts and libs/kafka-admin/src/topics/topic-finding.ts. -->

# Codes

Every record is emitted, skipped or rejected. Skips and rejects have one of these reasons. They are the values of the labels \`reason\` and
\`code\` of the [metrics](metrics.md), and the exception class of a dead letter is \`kafnus.rejected.<code>\`. To find
the cause of a missing row, see [missing-rows.md](missing-rows.md).

## Rejected

The record, or one of its entities, is invalid. The record is dead-lettered unchanged. Other valid entities of it are emitted.

${rows({ ...rejectCodes, ...runtimeCodes })}

## Reported

One attribute cannot be converted. The row is emitted, its column is null (or omitted when its name is not usable), and the record is also
dead-lettered. With \`KAFNUS_ATTRIBUTE_ERRORS=reject\` there is no row.

${rows(attributeCodes)}

## Skipped

The record needs no row. It is counted, and not dead-lettered.

${rows(skipReasons)}

## A dead letter

A dead letter has the key, value, headers and timestamp of the record, followed by Kafka Connect's headers:

| header | value |
| --- | --- |
| \`__connect.errors.topic\`, \`.partition\`, \`.offset\` | the position of the record |
| \`__connect.errors.stage\` | \`VALUE_CONVERTER\` (not readable), \`TRANSFORMATION\` (rejected), \`KAFKA_PRODUCE\` (not writable) |
| \`__connect.errors.exception.class.name\` | \`kafnus.rejected.<code>\`, of the first problem |
| \`__connect.errors.exception.message\` | all problems, with the values, shortened |
| \`kafnus.value.omitted\` | the position of a record that is too large for the dead-letter topic |
| \`kafnus.timestamp\` | the timestamp of a record (milliseconds) whose timestamp the dead-letter topic rejects. The dead letter has the time of its creation |

The errors agent writes a row of \`<db>_error_log\` for each (SPEC 7). [\`kafnus replay\`](replay.md) sends them again.

## How an agent ends

| exit code | meaning | what to do |
| --- | --- | --- |
| 0 | clean shutdown after SIGTERM or SIGINT; the open transaction is committed | nothing |
| 1 | a failure that needs a new process, or a shutdown that timed out; the last log line has the reason | let the orchestrator restart it: [restarting](runbooks/restarting.md) |
| 2 | wrong configuration or topics, which a restart does not fix | follow the message; [configuration.md](configuration.md) |
| 137 | SIGKILL by the orchestrator, or by the agent itself when a call of the Kafka client never returned | nothing; the next process ends its transaction |

## Findings about topics

The findings of \`kafnus topics check\`. [operations.md](operations.md#topics) describes the response to each.

${table(
  ['code', 'meaning'],
  Object.entries(findingCodes).map(([name, meaning]) => [code(name), prose(meaning)]),
)}
`;
}

/** Generates docs/errors.md: every code, and what to do about it. */
import { code, prose, table } from './markdown.mjs';

/** The reject codes of the runtime (SPEC 13). test/docs compares the list with the code. */
export const runtimeCodes = {
  'topic-unwritable': 'The cluster refuses the output topic: no right, an illegal name, a policy.',
  'record-too-large': 'An output is larger than the producer may send.',
  'decision-failed':
    'The agent threw an exception on this record, which is a defect of the agent. The log has the stack.',
};

const NORMALIZED =
  'The subscription: `"attrsFormat": "normalized"`, and no `payload`, `json` or `ngsi` ([orion.md](orion.md)).';
const NOT_ORION = 'Find who publishes it: Orion does not. The dead letter has the bytes.';
const DEVICE = 'The device, or who writes the attribute to Orion.';

/**
 * The operator's action for each code. Generation fails for a code without an action, or an action
 * without a code.
 */
const advice = {
  'value-missing': 'Who publishes tombstones to a raw topic? Raw topics are not compacted.',
  'not-utf8': NOT_ORION,
  'not-json': NOT_ORION,
  'not-a-notification': NORMALIZED,
  'timestamp-invalid': 'The clock or the code of the publisher.',
  'service-invalid': 'Another fiware-service: [security.md](security.md#what-tenants-can-do).',
  'servicepath-missing': 'Publish with a service path, or choose another `KAFNUS_DATAMODEL`.',
  'table-missing': 'An entity type with a letter or a digit of a-z, 0-9.',
  'table-name-invalid': 'A shorter service path or entity type, or a data model without the service path in the table.',
  'text-unstorable': DEVICE,
  'entity-invalid': NORMALIZED,
  'entity-id-invalid': NORMALIZED,
  'entity-type-invalid': NORMALIZED,
  'timeinstant-missing':
    'Send TimeInstant with the subscription, or set `KAFNUS_MISSING_TIME_INSTANT=record-timestamp`.',
  'timeinstant-invalid': 'The device or its IoT agent: ISO 8601.',
  'topic-unwritable':
    'The right, the name or the policy, then `kafnus replay`: [runbook](runbooks/topic-unwritable.md).',
  'record-too-large':
    'Publish smaller attributes; or raise `message.max.bytes` in `KAFNUS_KAFKA_PRODUCER` and `max.message.bytes` of the topics.',
  'decision-failed':
    'Report it, with the log line “the decision about a record failed” and the dead letter; `kafnus replay` when it is mended.',
  'date-invalid': DEVICE,
  'geometry-invalid': 'The device. NGSI writes `lat,lon` in geo:point, GeoJSON `[lon, lat]`.',
  'number-invalid': DEVICE,
  'nesting-too-deep': DEVICE,
  'attribute-not-normalized': NORMALIZED,
  'text-invalid': DEVICE,
  'name-invalid': 'Another name for the attribute, or leave it out of the subscription.',
  'name-clash': 'Rename one of the two, or leave it out of the subscription.',
  empty: 'Nothing.',
  stale: 'Nothing: late data. Very many of them: does a second subscription publish the same entities?',
  delete: 'Nothing. Leave entityDelete out of the subscriptions of historic and mutable.',
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
  return `<!-- Written by \`make docs\` from libs/ngsi-core/src/codes.ts and libs/agent-runtime/src/topics/finding.ts. -->

# Codes

Every record that is read ends as emitted, skipped or rejected, and the last two for one of these reasons. They are the labels \`reason\` and
\`code\` of the [metrics](metrics.md), and a dead letter's exception class is \`kafnus.rejected.<code>\`. A row that is missing, and nobody knows
why: [missing-rows.md](missing-rows.md).

## Rejected

The record, or one entity of it, goes to the dead-letter topic with its bytes unchanged. When other entities of the record are sound, those go out.

${rows({ ...rejectCodes, ...runtimeCodes })}

## Reported

One attribute cannot be converted: the row goes out, its column is null (or left out where it has no usable name), and the record is dead-lettered
as well. With \`KAFNUS_ATTRIBUTE_ERRORS=reject\` there is no row.

${rows(attributeCodes)}

## Skipped

On purpose: counted, and not dead-lettered.

${rows(skipReasons)}

## A dead letter

Key, value, headers and timestamp of the record, and behind its headers those of Kafka Connect:

| header | value |
| --- | --- |
| \`__connect.errors.topic\`, \`.partition\`, \`.offset\` | where the record was read |
| \`__connect.errors.stage\` | \`VALUE_CONVERTER\` (it could not be read), \`TRANSFORMATION\` (refused), \`KAFKA_PRODUCE\` (could not be written) |
| \`__connect.errors.exception.class.name\` | \`kafnus.rejected.<code>\`, of the first problem |
| \`__connect.errors.exception.message\` | all problems, with the values, shortened |
| \`kafnus.value.omitted\` | only where the record is too large for the dead-letter topic: where it is to be found |

The errors agent makes a row of \`<db>_error_log\` of each (SPEC 7). \`kafnus replay\` sends them back: [replay.md](replay.md).

## How an agent ends

| exit code | meaning | what to do |
| --- | --- | --- |
| 0 | it was told to (SIGTERM, SIGINT), and what was open is committed | nothing |
| 1 | only a new process can go on, or it could not stop in time; the last log line says why | let the orchestrator start it again: [restarting](runbooks/restarting.md) |
| 2 | the configuration, or topics that do not fit: another start ends so, too | what the message says; [configuration.md](configuration.md) |
| 137 | SIGKILL: by the orchestrator, or by itself where a call of the Kafka client never came back | nothing; its successor ends its transaction |

## Findings about topics

What \`kafnus topics check\` says; what is done about each is in [operations.md](operations.md#topics).

${table(
  ['code', 'meaning'],
  Object.entries(findingCodes).map(([name, meaning]) => [code(name), prose(meaning)]),
)}
`;
}

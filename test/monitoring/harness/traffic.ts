/**
 * Notifications with every outcome: emitted, skipped for each reason, rejected in whole and in
 * part, without key.
 */
import type { RecordToWrite } from '@kafnus/local-stack';
import { notification } from '../../integration/notifications.js';

const topics = ['raw_historic', 'raw_lastdata', 'raw_mutable'];

/** An endless sequence of batches: two tenants, all topics. */
export function* traffic(): Generator<readonly RecordToWrite[]> {
  for (let sequence = 0; ; sequence += 1)
    yield ['city', 'harbour'].flatMap((service) => topics.flatMap((topic) => batch(topic, service, sequence)));
}

function batch(topic: string, service: string, sequence: number): readonly RecordToWrite[] {
  const sound = notification(`Sensor:${sequence % 50}`, sequence, { service });
  const { headers, key } = sound;
  const of = (...entities: readonly object[]): RecordToWrite => ({
    topic,
    key,
    headers,
    value: JSON.stringify({ subscriptionId: '57458eb60962ef754e7c0998', data: entities }),
  });
  const entity = (attributes: object): object => ({
    id: key,
    type: 'AirQualityObserved',
    TimeInstant: at(sequence),
    ...attributes,
  });
  const deleted = { alterationType: { type: 'Text', value: 'entityDelete', metadata: {} } };
  return [
    { topic, ...sound },
    { topic, ...sound, key: null },
    { topic, ...sound, value: sound.value.slice(0, -1) },
    of(),
    of(entity({ since: { type: 'DateTime', value: 'yesterday', metadata: {} } })),
    of(entity(deleted)),
    of(entity({}), entity(deleted)),
    // For lastdata: older than the emitted version, alone and with another entity.
    of(entity({ TimeInstant: at(sequence - 3600) })),
    of(entity({}), entity({ TimeInstant: at(sequence - 3600) })),
  ];
}

function at(second: number): object {
  return { type: 'DateTime', value: new Date(Date.UTC(2026, 0, 1) + second * 1000).toISOString(), metadata: {} };
}

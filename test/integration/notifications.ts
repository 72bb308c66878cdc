/** Notifications in Orion's format, with a sequence number for tests. */

/**
 * One entity with ten attributes, about 900 bytes. {@link reading} reads `sequence` from the output
 * record.
 */
export function notification(
  id: string,
  sequence: number,
  options: { readonly service?: string; readonly timeInstant?: string } = {},
): { readonly key: string; readonly value: string; readonly headers: readonly Record<string, string>[] } {
  const timeInstant = options.timeInstant ?? new Date(Date.UTC(2026, 0, 1) + sequence * 1000).toISOString();
  const number = (value: number): object => ({ type: 'Number', value, metadata: {} });
  const entity = {
    id,
    type: 'AirQualityObserved',
    TimeInstant: { type: 'DateTime', value: timeInstant, metadata: {} },
    temperature: number(20 + (sequence % 100) / 10),
    humidity: number((sequence % 100) / 100),
    NO2: number(sequence % 400),
    O3: number(sequence % 300),
    PM10: number(sequence % 150),
    location: { type: 'geo:point', value: '40.4168, -3.7038', metadata: {} },
    address: {
      type: 'StructuredValue',
      value: { streetAddress: 'Calle Mayor', addressLocality: 'Madrid' },
      metadata: {},
    },
    operator: { type: 'Text', value: 'Ayuntamiento', metadata: {} },
    sequence: { type: 'Number', metadata: {}, value: sequence },
  };
  return {
    key: id,
    value: JSON.stringify({ subscriptionId: '57458eb60962ef754e7c0998', data: [entity] }),
    headers: [
      { 'fiware-service': options.service ?? 'city' },
      { 'fiware-servicepath': '/air' },
      { 'fiware-correlator': `c-${sequence}` },
    ],
  };
}

/** The `sequence` of an output record. */
export function reading(value: Buffer | null): number {
  const parsed = JSON.parse(String(value)) as { readonly payload: { readonly sequence: number } };
  return parsed.payload.sequence;
}

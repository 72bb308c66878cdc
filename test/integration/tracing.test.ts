/** A trace through a real agent: from the notification to the output record, and to a collector. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { withKafka } from '@kafnus/agent-testkit';
import { AgentProcess, createTopics, produceAll, readAll, startLocalKafka, type LocalKafka } from '@kafnus/local-stack';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { notification } from './notifications.js';

jest.setTimeout(120_000);

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;

withKafka(describe)('a traced notification', () => {
  let kafka: LocalKafka;
  const spans: Buffer[] = [];
  const collector = createServer((request, response) => {
    request.on('data', (chunk: Buffer) => spans.push(chunk));
    request.on('end', () => response.end());
  });

  beforeAll(async () => {
    kafka = await startLocalKafka();
    collector.listen(0, '127.0.0.1');
    await once(collector, 'listening');
  });

  afterAll(async () => {
    collector.close();
    await kafka.stop();
  });

  test('is traced from the raw topic to the output, and the agent exports its span', async () => {
    await createTopics(kafka.bootstrapServers, [{ topic: 'raw_historic', partitions: 1 }]);
    const { key, value, headers } = notification('Sensor:1', 1);
    const traced = [...headers, { traceparent }];
    await produceAll(kafka.bootstrapServers, [
      { topic: 'raw_historic', key, value, headers: traced, timestamp: Date.now() },
    ]);
    const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
    const agent = new AgentProcess({
      agent: 'historic',
      brokers: kafka.bootstrapServers,
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint },
    });
    try {
      await agent.until('the record committed', ({ ledger }) => ledger.read === 1);
      // The last spans are sent at shutdown.
      await agent.stop();
    } finally {
      await agent.kill();
    }
    const [output] = await readAll(kafka.bootstrapServers, 'city');
    expect(output?.headers.find((header) => 'traceparent' in header)?.['traceparent']?.toString()).toBe(traceparent);
    expect(Buffer.concat(spans).includes(Buffer.from(traceId, 'hex'))).toBe(true);
  });
});

/**
 * Trace context from input to output, one span for each transaction, and what the environment asks
 * for.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { ConfigurationError, startTracing, type RecordHeader, type Tracing } from '@kafnus/agent-runtime';
import { InMemorySpanExporter, type ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { deadLetterTopic, input, inputTopic } from './counting-agent.js';
import { header, mixed, Rig } from './loop-rig.js';

const problems: string[] = [];
const options = {
  agent: 'counting',
  instance: 'one',
  version: '1.2.3',
  inputTopic,
  group: 'counting',
  onProblem: (message: string): void => void problems.push(message),
};
const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;

/** The exporter forgets its spans when it is shut down: they are taken when they are sent. */
class Spans extends InMemorySpanExporter {
  readonly sent: ReadableSpan[] = [];

  override export(...[spans, done]: Parameters<InMemorySpanExporter['export']>): void {
    this.sent.push(...spans);
    super.export(spans, done);
  }
}

async function traced(spans: Spans): Promise<Tracing> {
  const tracing = await startTracing(options, {}, spans);
  if (tracing === undefined) throw new Error('no tracing');
  return tracing;
}

function produce(rig: Rig, headers: readonly RecordHeader[], kind: 'emit' | 'reject' | 'report' = 'emit'): void {
  rig.cluster.produce([{ topic: inputTopic, partition: 0, ...input('k', kind), headers: [...headers], timestamp: 1 }]);
}

describe('the trace of a record', () => {
  test('is carried to its outputs and its dead letter, and to nobody else’s', async () => {
    const tracing = await traced(new Spans());
    const rig = new Rig(1, {}, { tracing });
    produce(rig, [{ traceparent: Buffer.from(traceparent) }, { tracestate: 'vendor=1' }]);
    produce(rig, []);
    produce(rig, [{ traceparent }], 'reject');
    rig.start();
    await rig.finish();
    const [first, second] = rig.cluster.read('out-a');
    expect(first && [header(first, 'traceparent'), header(first, 'tracestate')]).toEqual([traceparent, 'vendor=1']);
    expect(second && header(second, 'traceparent')).toBeUndefined();
    const [deadRecord] = rig.cluster.read(deadLetterTopic);
    expect(deadRecord && header(deadRecord, 'traceparent')).toBe(traceparent);
  });

  test.each([
    ['no hexadecimal number', `00-${'x'.repeat(32)}-00f067aa0ba902b7-01`],
    ['all zeros', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`],
    ['too long', `${traceparent}-${'f'.repeat(10_000)}`],
    ['longer than any, and of a later version', `01${traceparent.slice(2)}-${'f'.repeat(10_000)}`],
    ['empty', ''],
  ])('that is %s is not carried', async (_what, hostile) => {
    const rig = new Rig(1, {}, { tracing: await traced(new Spans()) });
    produce(rig, [{ traceparent: hostile }]);
    rig.start();
    await rig.finish();
    const [output] = rig.cluster.read('out-a');
    expect(output && header(output, 'traceparent')).toBeUndefined();
  });

  test('loses a tracestate that is longer than 512 characters, and nothing else', async () => {
    const rig = new Rig(1, {}, { tracing: await traced(new Spans()) });
    produce(rig, [{ traceparent }, { tracestate: `vendor=${'1'.repeat(600)}` }]);
    rig.start();
    await rig.finish();
    const [output] = rig.cluster.read('out-a');
    expect(output && [header(output, 'traceparent'), header(output, 'tracestate')]).toEqual([traceparent, undefined]);
  });
});

describe('the span of a transaction', () => {
  test('is linked to the records in it, and names what was refused, with the correlator', async () => {
    const spans = new Spans();
    const tracing = await traced(spans);
    const rig = new Rig(1, {}, { tracing });
    produce(rig, [{ traceparent }, { 'fiware-correlator': 'c-1' }]);
    produce(rig, [{ 'fiware-correlator': 'c-2' }], 'report');
    rig.start();
    await rig.finish();
    await tracing.shutdown();
    const links = spans.sent.flatMap((span) => span.links);
    expect(links).toMatchObject([
      {
        context: { traceId, spanId: '00f067aa0ba902b7' },
        attributes: { 'fiware.correlator': 'c-1', 'messaging.kafka.offset': 0 },
      },
    ]);
    expect(spans.sent.flatMap((span) => span.events)).toMatchObject([
      {
        name: 'rejected',
        attributes: { 'fiware.correlator': 'c-2', 'kafnus.reason': 'no-good', 'kafnus.tenant': 'a' },
      },
    ]);
    const [span] = spans.sent;
    expect(span).toMatchObject({
      name: 'process raw',
      attributes: {
        'messaging.system': 'kafka',
        'messaging.consumer.group.name': 'counting',
        'kafnus.outcome': 'committed',
      },
    });
    expect(span?.resource.attributes).toMatchObject({
      'service.name': 'kafnus-counting',
      'service.instance.id': 'one',
      'service.version': '1.2.3',
    });
    expect(sum(spans.sent, 'messaging.batch.message_count')).toBe(2);
  });

  test('that was aborted ends as an error; every transaction has one span, whatever happened to it', async () => {
    const spans = new Spans();
    const tracing = await traced(spans);
    const rig = new Rig(2, {}, { tracing });
    rig.cluster.faults.commits.push('aborted', 'unknown-aborted');
    rig.produce(mixed(60));
    rig.start();
    await rig.finish();
    await tracing.shutdown();
    const outcome = (kind: string): ReadableSpan[] =>
      spans.sent.filter(({ attributes }) => attributes['kafnus.outcome'] === kind);
    // A batch that was decided behind the one that failed has gone with it.
    expect(outcome('aborted').length).toBeGreaterThanOrEqual(1);
    expect(outcome('unknown').length).toBeGreaterThanOrEqual(1);
    expect(outcome('aborted')[0]?.status.code).toBe(2);
    expect(sum(outcome('committed'), 'messaging.batch.message_count')).toBe(60);
  });

  test('holds at most 128 links and 128 events', async () => {
    const spans = new Spans();
    const tracing = await traced(spans);
    const rig = new Rig(1, { KAFNUS_BATCH_SIZE: '500', KAFNUS_COMMIT_INTERVAL_MS: '5000' }, { tracing });
    for (let count = 0; count < 400; count++) produce(rig, [{ traceparent }], 'report');
    rig.start();
    await rig.finish();
    await tracing.shutdown();
    expect(spans.sent.every(({ links, events }) => links.length <= 128 && events.length <= 128)).toBe(true);
    expect(spans.sent.some(({ links, events }) => links.length === 128 && events.length === 128)).toBe(true);
  });
});

describe('the environment', () => {
  const saved = { ...process.env };
  afterEach(() => {
    process.env = { ...saved };
  });

  test.each([
    [{}],
    [{ OTEL_TRACES_EXPORTER: 'none', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }],
    [{ OTEL_SDK_DISABLED: 'true', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }],
  ])('%j asks for nothing', async (env) => {
    expect(await startTracing(options, env)).toBeUndefined();
  });

  test.each([
    [{ OTEL_TRACES_EXPORTER: 'jaeger' }, /OTEL_TRACES_EXPORTER is "jaeger"/],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4317', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
      /OTEL_EXPORTER_OTLP_PROTOCOL is "grpc": only http\/protobuf/,
    ],
  ])('%j is refused', async (env, message) => {
    const started = startTracing(options, env);
    await expect(started).rejects.toThrow(ConfigurationError);
    await expect(started).rejects.toThrow(message);
  });

  test('OTEL_EXPORTER_OTLP_ENDPOINT gets the spans, as OTLP over HTTP', async () => {
    const requests: { url: string | undefined; headers: IncomingHttpHeaders; body: Buffer }[] = [];
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        requests.push({ url: request.url, headers: request.headers, body: Buffer.concat(chunks) });
        response.end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      // The exporter reads the environment of the process by itself.
      process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      process.env['OTEL_SERVICE_NAME'] = 'harbour-historic';
      const tracing = await startTracing(options, process.env);
      const rig = new Rig(1, {}, { tracing });
      produce(rig, [{ traceparent }]);
      rig.start();
      await rig.finish();
      await tracing?.shutdown();
      expect(requests[0]?.url).toBe('/v1/traces');
      expect(requests[0]?.headers['content-type']).toBe('application/x-protobuf');
      const bodies = Buffer.concat(requests.map(({ body }) => body));
      expect(bodies.includes(Buffer.from(traceId, 'hex'))).toBe(true);
      expect(bodies.includes('harbour-historic')).toBe(true);
    } finally {
      server.close();
    }
  });

  test('a collector that refuses them is reported', async () => {
    problems.length = 0;
    const server = createServer((_request, response) => response.writeHead(401).end('who are you?'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const tracing = await startTracing(options, process.env);
      tracing?.batch().end({ kind: 'committed' }, { records: 1, outputs: 1 });
      await tracing?.shutdown();
      expect(problems.join()).toMatch(/401|Unauthorized/);
    } finally {
      server.close();
    }
  });

  test('a collector that is away keeps nobody waiting at the end', async () => {
    process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = 'http://127.0.0.1:9';
    const tracing = await startTracing(options, process.env);
    const rig = new Rig(1, {}, { tracing });
    produce(rig, [{ traceparent }]);
    rig.start();
    await rig.finish();
    const before = performance.now();
    await tracing?.shutdown();
    expect(performance.now() - before).toBeLessThan(2000);
  });
});

function sum(spans: readonly ReadableSpan[], attribute: string): number {
  return spans.reduce((total, { attributes }) => total + Number(attributes[attribute]), 0);
}

/**
 * OpenTelemetry traces: off, and nothing of it loaded, unless its standard environment variables
 * name a place to send them to.
 *
 * A record that carries a W3C trace context hands it on to its outputs, so that a trace leads from
 * the notification to the row. Each transaction has one span; it is linked to the records in
 * it, as the messaging conventions of OpenTelemetry want it for batches: a span for each record
 * would cost more than the record.
 *
 *     trace of a notification   Orion ----> record ----------------------> output ----> sink
 *     trace of the agent                       \__ link __ [raw_historic process]
 */
import type { Link, Span, SpanContext, Tracer } from '@opentelemetry/api';
import type { SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { InputRecord, RecordHeader, Step } from '@kafnus/agent-contract';
import { messageOf } from '@kafnus/kafka-admin';
import { ConfigurationError } from './config.js';
import type { CommitOutcome } from './session.js';
import { within } from './until-aborted.js';

/** The trace that a record belongs to. */
export interface RecordTrace {
  readonly context: SpanContext;
  /** `traceparent`, and `tracestate` when there is one: unchanged. */
  readonly headers: readonly RecordHeader[];
}

export interface TracingOptions {
  readonly agent: string;
  readonly instance: string;
  readonly version: string;
  readonly inputTopic: string;
  readonly group: string;
  /** Spans could not be sent, and are lost; the agent does not mind. */
  readonly onProblem: (message: string) => void;
}

/** A span has at most so many links and so many events: OpenTelemetry's default limit. */
const limit = 128;
/** W3C Trace Context 3.3.1.5: a longer tracestate may be left out, as a whole. */
const longestState = 512;
/** Version 00 has 55 characters; later ones may append fields (W3C Trace Context 4.3). */
const longestParent = 512;
const longestCorrelator = 200;

/** How long the last spans may take at the end of the process, in milliseconds. */
const flushMs = 500;

/**
 * Whether the environment asks for traces.
 * @throws ConfigurationError when it asks for an exporter or a protocol that is not there
 */
function wanted(env: NodeJS.ProcessEnv): boolean {
  const exporter = env['OTEL_TRACES_EXPORTER'] ?? '';
  if (env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true' || exporter === 'none') return false;
  if (exporter !== '' && exporter !== 'otlp') {
    throw new ConfigurationError([`OTEL_TRACES_EXPORTER is "${exporter}": only otlp and none are known`]);
  }
  if (exporter === '' && !env['OTEL_EXPORTER_OTLP_ENDPOINT'] && !env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'])
    return false;
  const protocol = env['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'] ?? env['OTEL_EXPORTER_OTLP_PROTOCOL'] ?? 'http/protobuf';
  if (protocol !== 'http/protobuf') {
    throw new ConfigurationError([
      `OTEL_EXPORTER_OTLP_PROTOCOL is "${protocol}": only http/protobuf is spoken, which collectors take on port 4318`,
    ]);
  }
  return true;
}

/**
 * Starts what the standard environment variables ask for (OTEL_EXPORTER_OTLP_ENDPOINT,
 * OTEL_TRACES_EXPORTER, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER,
 * OTEL_BSP_..., OTEL_SDK_DISABLED).
 * @returns undefined when they ask for nothing
 * @throws ConfigurationError for an exporter or a protocol that is not there
 */
export async function startTracing(
  options: TracingOptions,
  env: NodeJS.ProcessEnv,
  exporter?: SpanExporter,
): Promise<Tracing | undefined> {
  if (exporter === undefined && !wanted(env)) return undefined;
  const { defaultResource, detectResources, envDetector, resourceFromAttributes } =
    await import('@opentelemetry/resources');
  const { BasicTracerProvider, BatchSpanProcessor } = await import('@opentelemetry/sdk-trace-base');
  const sender = exporter ?? new (await import('@opentelemetry/exporter-trace-otlp-proto')).OTLPTraceExporter();
  const ours = resourceFromAttributes({
    'service.name': `kafnus-${options.agent}`,
    'service.instance.id': options.instance,
    'service.version': options.version,
  });
  // What the operator says wins.
  const resource = defaultResource()
    .merge(ours)
    .merge(detectResources({ detectors: [envDetector] }));
  const provider = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(sender)] });
  const { parseTraceParent } = await import('@opentelemetry/core');
  const { diag, DiagLogLevel, SpanKind, SpanStatusCode } = await import('@opentelemetry/api');
  const quiet = (): void => undefined;
  const logger = { error: options.onProblem, warn: options.onProblem, info: quiet, debug: quiet, verbose: quiet };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  return new Tracing(options, provider.getTracer('kafnus', options.version), {
    parse: parseTraceParent,
    consumer: SpanKind.CONSUMER,
    error: SpanStatusCode.ERROR,
    shutdown: () => provider.shutdown(),
  });
}

/** What is taken from the library, which is not loaded where nobody traces. */
interface Library {
  readonly parse: (traceparent: string) => SpanContext | null;
  readonly consumer: 4;
  readonly error: 2;
  readonly shutdown: () => Promise<void>;
}

export class Tracing {
  readonly #options: TracingOptions;
  readonly #tracer: Tracer;
  readonly #library: Library;

  constructor(options: TracingOptions, tracer: Tracer, library: Library) {
    this.#options = options;
    this.#tracer = tracer;
    this.#library = library;
  }

  /**
   * The trace of a record; undefined when it carries none, or none that is valid. Only short
   * headers are read: each output of the record carries them, and a publisher may send thousands of
   * entities with a traceparent of half a megabyte.
   */
  traceOf(record: InputRecord): RecordTrace | undefined {
    const parent = textOf(record, 'traceparent', longestParent);
    const context = parent === undefined ? null : this.#library.parse(parent);
    if (parent === undefined || context === null) return undefined;
    const state = textOf(record, 'tracestate', longestState);
    const headers: RecordHeader[] = [{ traceparent: parent }];
    if (state !== undefined && state !== '') headers.push({ tracestate: state });
    return { context, headers };
  }

  /** The span of a transaction that begins now. */
  batch(): BatchSpan {
    const { inputTopic, group } = this.#options;
    const span = this.#tracer.startSpan(`process ${inputTopic}`, {
      kind: this.#library.consumer,
      root: true,
      attributes: {
        'messaging.system': 'kafka',
        'messaging.operation.name': 'process',
        'messaging.operation.type': 'process',
        'messaging.destination.name': inputTopic,
        'messaging.consumer.group.name': group,
      },
    });
    return new BatchSpan(span, this.#library.error);
  }

  /** Sends what is left, for a moment: nothing waits for a collector that is away. */
  async shutdown(): Promise<void> {
    const sent = this.#library.shutdown().catch((error: unknown) => this.#options.onProblem(messageOf(error)));
    await within(sent, flushMs);
  }
}

/** The span of one transaction. */
export class BatchSpan {
  readonly #span: Span;
  readonly #error: 2;
  #links: Link[] = [];
  #events = 0;

  constructor(span: Span, error: 2) {
    this.#span = span;
    this.#error = error;
  }

  /** A record of the transaction, with what was decided about it. */
  add(record: InputRecord, step: Step, trace: RecordTrace | undefined): void {
    if (!this.#span.isRecording()) return;
    if (trace !== undefined && this.#links.length < limit) {
      this.#links.push({ context: trace.context, attributes: attributesOf(record) });
    }
    const refused = step.kind === 'reject' ? step.rejections : step.kind === 'emit' ? step.reports : undefined;
    for (const { code } of refused ?? []) {
      if (this.#events >= limit) return;
      this.#events += 1;
      this.#span.addEvent('rejected', { ...attributesOf(record), 'kafnus.reason': code, 'kafnus.tenant': step.tenant });
    }
  }

  /** What has become of the transaction. */
  end(outcome: CommitOutcome, counts: { readonly records: number; readonly outputs: number }): void {
    this.#span.addLinks(this.#links);
    this.#span.setAttributes({
      'messaging.batch.message_count': counts.records,
      'kafnus.outputs': counts.outputs,
      'kafnus.outcome': outcome.kind,
    });
    if (outcome.kind !== 'committed') {
      this.#span.setAttribute('error.type', outcome.cause);
      this.#span.setStatus({ code: this.#error, message: outcome.error.message });
    }
    this.#span.end();
  }
}

/** The step with the trace of its record in its outputs. */
export function carrying(step: Step, trace: RecordTrace): Step {
  if (step.kind !== 'emit') return step;
  const outputs = step.outputs.map((output) =>
    // A re-keyed record has the headers of its input record.
    output.partition === undefined ? { ...output, headers: [...output.headers, ...trace.headers] } : output,
  );
  return { ...step, outputs };
}

function attributesOf(record: InputRecord): Record<string, string | number> {
  const correlator = textOf(record, 'fiware-correlator', longestCorrelator);
  return {
    'messaging.destination.partition.id': String(record.partition),
    'messaging.kafka.offset': record.offset,
    ...(correlator === undefined ? {} : { 'fiware.correlator': correlator }),
  };
}

/** The first header of a name, in so many bytes at most: undefined when it is longer. */
function textOf(record: InputRecord, name: string, mostBytes: number): string | undefined {
  for (const header of record.headers) {
    const value = header[name];
    if (value !== undefined) return value.length > mostBytes ? undefined : String(value);
  }
  return undefined;
}

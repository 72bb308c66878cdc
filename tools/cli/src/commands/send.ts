import { createReadStream } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '@kafnus/kafka-admin';
import { cityNotifications } from '../city.js';
import { exitCodes, UsageError, type Command, type Io } from '../command.js';
import { Publisher } from '../kafka/publisher.js';
import { connection } from '../kafka/connection.js';
import { duration, instant, parseOptions, positiveNumber, requireTopicName, wholeNumber } from '../options.js';
import { readNotifications, type FileEntry } from '../send/notification-files.js';
import { Screen } from '../terminal/screen.js';
import { grouped } from '../terminal/text.js';

const helpText = `Usage: kafnus send --topic TOPIC [options] [FILE ...]

Publishes NGSIv2 notifications to raw topics as Orion would: the key is the entity id, the headers
are fiware-service, fiware-servicepath and fiware-correlator. FILE holds one notification, an array
of them, or one per line (JSON Lines); '-' is standard input. The key of a notification with several
entities is the id of the first. Without FILE, notifications of a fictitious city are generated: air
quality stations, parking spots and street lights of the services harbour and oldtown. The same
options generate the same notifications.

Destination:
  --topic TOPIC        a raw topic, e.g. raw_historic; when repeated, each topic gets all
  --brokers LIST       host:port,... (default: KAFNUS_KAFKA_BROKERS); TLS and SASL are set by
                       KAFNUS_KAFKA_... as for the agents

Content:
  --service NAME       fiware-service (default for files: default; for the city: its own)
  --servicepath PATH   (default for files: /; for the city: its own)
  --entities N         number of entities of the city (default 60)
  --seed N             seed of the generator (default 1)
  --start TIME         TimeInstant of the first notification (default 2026-05-01T08:00:00Z)
  --interval TIME      between two versions of an entity (default 10m)

Amount:
  --count N            maximum number of notifications (default for the city: one per entity)
  --duration TIME      stop after 30s, 5m, ...
  --rate N             notifications per second (default: as fast as possible)

  --json               print one JSON object at the end
  --help

Exit codes: 0 all was published (also when ended by Ctrl-C), 1 not all: an invalid line, a refused
record, no broker; 2 wrong usage.

Examples:
  kafnus send --topic raw_historic --topic raw_lastdata --entities 1000 --rate 200 --duration 1m
  kafnus send --topic raw_historic --service smartcity --servicepath /parks notifications.jsonl
`;

/** A record without its topic, or why the input has none at this place. */
type SendItem =
  | {
      readonly kind: 'notification';
      readonly key: string;
      readonly value: string;
      readonly headers: readonly Readonly<Record<string, string>>[];
    }
  | { readonly kind: 'problem'; readonly message: string };

interface SendPlan {
  readonly topics: readonly string[];
  readonly brokers: string;
  readonly items: AsyncIterable<SendItem> | Iterable<SendItem>;
  /** Maximum number of notifications. */
  readonly count: number;
  readonly durationMs: number;
  /** Notifications per second; Infinity: no limit. */
  readonly rate: number;
  readonly json: boolean;
}

/** The fields are the JSON output. */
interface SendSummary {
  readonly topics: readonly string[];
  /** Notifications that were published to every topic. */
  readonly notifications: number;
  readonly records: number;
  /** Lines or documents that are no notifications. */
  readonly bad: number;
  /** Records that a broker refused. */
  readonly refused: number;
  readonly seconds: number;
}

export const command: Command = {
  help: helpText,
  async run(argv, io) {
    const plan = planOf(argv, io);
    const summary = await publish(plan, io);
    io.stdout.write(plan.json ? `${JSON.stringify(summary)}\n` : `${summaryLine(summary)}\n`);
    return summary.bad > 0 || summary.refused > 0 ? exitCodes.failure : exitCodes.ok;
  },
};

/** @throws UsageError */
function planOf(argv: readonly string[], io: Io): SendPlan {
  const { values, positionals: files } = parseOptions(
    argv,
    {
      topic: { type: 'string', multiple: true, default: [] },
      brokers: { type: 'string' },
      service: { type: 'string' },
      servicepath: { type: 'string' },
      entities: { type: 'string' },
      seed: { type: 'string' },
      start: { type: 'string' },
      interval: { type: 'string' },
      count: { type: 'string' },
      duration: { type: 'string' },
      rate: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
    true,
  );
  const topics = [...new Set(values.topic)];
  if (topics.length === 0)
    throw new UsageError('--topic is missing: the raw topic to publish to, e.g. --topic raw_historic');
  for (const topic of topics) requireTopicName('--topic', topic);
  const brokers = values.brokers ?? io.env['KAFNUS_KAFKA_BROKERS'] ?? '';
  if (brokers === '') throw new UsageError('--brokers is missing, and KAFNUS_KAFKA_BROKERS is not set');

  const { service, servicepath } = values;
  for (const option of ['entities', 'seed', 'start', 'interval'] as const) {
    if (files.length > 0 && values[option] !== undefined)
      throw new UsageError(`--${option} is for the generated city, not for files`);
  }
  const entities = wholeNumber('--entities', values.entities ?? '60');
  const city = {
    entities,
    seed: wholeNumber('--seed', values.seed ?? '1', 0),
    start: instant('--start', values.start ?? '2026-05-01T08:00:00Z'),
    interval: duration('--interval', values.interval ?? '10m'),
  };
  const endless = files.length > 0 || values.duration !== undefined;
  return {
    topics,
    brokers,
    items:
      files.length > 0
        ? fileItems(files, io, service ?? 'default', servicepath ?? '/')
        : cityItems(city, service, servicepath),
    count: values.count === undefined ? (endless ? Infinity : entities) : wholeNumber('--count', values.count),
    durationMs: values.duration === undefined ? Infinity : duration('--duration', values.duration),
    rate: values.rate === undefined ? Infinity : positiveNumber('--rate', values.rate),
    json: values.json,
  };
}

function* cityItems(
  options: Parameters<typeof cityNotifications>[0],
  service?: string,
  servicepath?: string,
): Generator<SendItem> {
  for (const notification of cityNotifications(options)) {
    const { entityId: key, value, correlator } = notification;
    const headers = orionHeaders(service ?? notification.service, servicepath ?? notification.servicepath, correlator);
    yield { kind: 'notification', key, value, headers };
  }
}

async function* fileItems(
  files: readonly string[],
  io: Io,
  service: string,
  servicepath: string,
): AsyncGenerator<SendItem> {
  for (const file of files) {
    const name = file === '-' ? '(stdin)' : file;
    try {
      for await (const entry of readNotifications(name, file === '-' ? io.stdin : createReadStream(file))) {
        yield itemOf(entry, service, servicepath);
      }
    } catch (error) {
      yield {
        kind: 'problem',
        message: `${name}: cannot be read: ${messageOf(error)}; correct its name or its permissions`,
      };
    }
  }
}

function itemOf(entry: FileEntry, service: string, servicepath: string): SendItem {
  if (entry.kind === 'problem') return entry;
  return { ...entry, headers: orionHeaders(service, servicepath, randomUUID()) };
}

/** The headers of Orion's Kafka notifications. */
function orionHeaders(service: string, servicepath: string, correlator: string): Readonly<Record<string, string>>[] {
  return [{ 'fiware-service': service }, { 'fiware-servicepath': servicepath }, { 'fiware-correlator': correlator }];
}

/** Sends until the items end, the count or the duration is reached, or the user interrupts. */
async function publish(plan: SendPlan, io: Io): Promise<SendSummary> {
  const { address, producer } = connection(io.env, plan.brokers);
  const publisher = await Publisher.connect(address, producer);
  const progress = new ProgressLine(io, plan);
  let interrupted = false;
  void io.interrupted().then(() => (interrupted = true));
  try {
    await publisher.requireTopics(plan.topics);
    const started = performance.now();
    const elapsed = (): number => performance.now() - started;
    let notifications = 0;
    let bad = 0;
    for await (const item of plan.items) {
      if (item.kind === 'problem') {
        bad += 1;
        progress.problem(item.message);
        continue;
      }
      // Waits in short steps, so that Ctrl-C and the end of the duration take effect soon.
      for (let due = 0; (due = (notifications / plan.rate) * 1000 - elapsed()) > 0;) {
        if (interrupted || elapsed() >= plan.durationMs) break;
        await sleep(Math.min(due, 100));
        progress.show(notifications, elapsed());
      }
      if (interrupted || elapsed() >= plan.durationMs || notifications >= plan.count) break;
      const { key, value, headers } = item;
      for (const topic of plan.topics) await publisher.send({ topic, key, value, headers });
      notifications += 1;
      if (notifications % 500 === 0) {
        // Lets signals and delivery reports be handled.
        await sleep(0);
        progress.show(notifications, elapsed());
      }
      if (notifications >= plan.count) break;
    }
    await publisher.flush();
    const { count: refused, first } = publisher.failures;
    progress.end();
    if (first !== undefined) io.stderr.write(`kafnus send: ${refused} records were refused, the first: ${first}\n`);
    const { topics } = plan;
    const seconds = Math.round(elapsed()) / 1000;
    return { topics, notifications, records: notifications * topics.length - refused, bad, refused, seconds };
  } finally {
    progress.end();
    await publisher.close();
  }
}

/** A line with the progress: updated on a terminal, elsewhere printed every 5 seconds. */
class ProgressLine {
  readonly #screen: Screen;
  readonly #io: Io;
  readonly #total: string;
  #shownAt = 0;

  constructor(io: Io, plan: SendPlan) {
    this.#io = io;
    this.#screen = new Screen(io.stderr);
    this.#total = Number.isFinite(plan.count) ? ` of ${grouped(plan.count)}` : '';
  }

  show(notifications: number, elapsedMs: number): void {
    if (elapsedMs - this.#shownAt < (this.#screen.live ? 200 : 5000)) return;
    this.#shownAt = elapsedMs;
    const line = `sent ${grouped(notifications)}${this.#total}, ${rateText(notifications, elapsedMs / 1000)}`;
    if (this.#screen.live) this.#screen.draw([line]);
    else this.#io.stderr.write(`${line}\n`);
  }

  problem(message: string): void {
    this.#screen.print(`kafnus send: ${message}`);
  }

  end(): void {
    this.#screen.draw([]);
  }
}

function rateText(count: number, seconds: number): string {
  return `${grouped(Math.round(count / Math.max(seconds, 0.001)))}/s`;
}

function summaryLine({ topics, notifications, records, bad, refused, seconds }: SendSummary): string {
  const where =
    topics.length === 1 ? `to ${topics[0] ?? ''}` : `to ${topics.length} topics (${grouped(records)} records)`;
  const what = notifications === 1 ? 'notification' : 'notifications';
  const parts = [`${grouped(notifications)} ${what} ${where} in ${seconds.toFixed(1)} s`];
  if (bad > 0) parts.push(`${grouped(bad)} invalid ones left out, see above`);
  if (refused > 0) parts.push(`${grouped(refused)} records refused`);
  return parts.join(', ');
}

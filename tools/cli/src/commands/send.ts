import { createReadStream } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { cityNotifications } from '../city.js';
import { exitCodes, UsageError, type Command, type Io } from '../command.js';
import { Publisher } from '../kafka/publisher.js';
import { connection } from '../kafka/settings.js';
import { duration, instant, parseOptions, positiveNumber, wholeNumber } from '../options.js';
import { readNotifications, type FileEntry } from '../send/notification-files.js';
import { Screen } from '../terminal/screen.js';
import { grouped, quoted } from '../terminal/text.js';
import { messageOf } from '../error-text.js';

const HELP = `Usage: kafnus send --topic TOPIC [options] [FILE ...]

Publishes NGSIv2 notifications to raw topics, as Orion would: the key is the entity id, the headers
are fiware-service, fiware-servicepath and fiware-correlator. FILE holds a notification, an array of
them, or one a line (JSON Lines); '-' is standard input. A notification of several entities is keyed
by the first one. Without FILE a small city is made up: air quality stations, parking spots and
street lights of the services harbour and oldtown, the same for the same options.

Where to:
  --topic TOPIC        a raw topic, e.g. raw_historic; may be repeated: each gets all
  --brokers LIST       host:port,... (default: KAFNUS_KAFKA_BROKERS); TLS and SASL are set by
                       KAFNUS_KAFKA_... as for the agents

What:
  --service NAME       the tenant (default for files: default; for the city: its own)
  --servicepath PATH   (default for files: /; for the city: its own)
  --entities N         size of the city (default 60)
  --seed N             another number, another city (default 1)
  --start TIME         TimeInstant of its first notification (default 2026-05-01T08:00:00Z)
  --interval TIME      between two versions of an entity (default 10m)

How much:
  --count N            so many notifications at most (default for the city: one for each entity)
  --duration TIME      stop after 30s, 5m, ...
  --rate N             notifications a second (default: as fast as possible)

  --json               print one JSON object at the end
  --help

Exit codes: 0 everything was published (also when ended by Ctrl-C), 1 something was not: a bad line,
a refused record, no broker; 2 called wrongly.

Examples:
  kafnus send --topic raw_historic --topic raw_lastdata --entities 1000 --rate 200 --duration 1m
  kafnus send --topic raw_historic --service smartcity --servicepath /parks notifications.jsonl
`;

/** What is sent next: a record without its topic, or a reason why there is none. */
type Item =
  | {
      readonly kind: 'notification';
      readonly key: string;
      readonly value: string;
      readonly headers: readonly Readonly<Record<string, string>>[];
    }
  | { readonly kind: 'problem'; readonly message: string };

interface Plan {
  readonly topics: readonly string[];
  readonly brokers: string;
  readonly items: AsyncIterable<Item> | Iterable<Item>;
  /** Notifications at most. */
  readonly count: number;
  readonly durationMs: number;
  /** Notifications a second; Infinity: no limit. */
  readonly rate: number;
  readonly json: boolean;
}

/** What became of it. */
interface Summary {
  readonly topics: readonly string[];
  /** Notifications that were published to every topic. */
  readonly notifications: number;
  readonly records: number;
  /** Lines or documents that were no notification. */
  readonly bad: number;
  /** Records that a broker refused. */
  readonly refused: number;
  readonly seconds: number;
}

export const command: Command = {
  help: HELP,
  async run(argv, io) {
    const plan = planOf(argv, io);
    const summary = await publish(plan, io);
    io.stdout.write(plan.json ? `${JSON.stringify(summary)}\n` : `${summaryLine(summary)}\n`);
    return summary.bad > 0 || summary.refused > 0 ? exitCodes.failure : exitCodes.ok;
  },
};

/** @throws UsageError */
function planOf(argv: readonly string[], io: Io): Plan {
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
  const wrong = topics.find((topic) => !/^[A-Za-z0-9._-]{1,249}$/.test(topic));
  if (wrong !== undefined) {
    throw new UsageError(
      `--topic ${quoted(wrong)} is no legal topic name: letters, digits, dots, dashes and underscores`,
    );
  }
  const brokers = values.brokers ?? io.env['KAFNUS_KAFKA_BROKERS'] ?? '';
  if (brokers === '') throw new UsageError('--brokers is missing, and KAFNUS_KAFKA_BROKERS is not set');

  const { service, servicepath } = values;
  for (const option of ['entities', 'seed', 'start', 'interval'] as const) {
    if (files.length > 0 && values[option] !== undefined)
      throw new UsageError(`--${option} is for a made-up city, not for files`);
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
): Generator<Item> {
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
): AsyncGenerator<Item> {
  for (const file of files) {
    const name = file === '-' ? '(stdin)' : file;
    try {
      for await (const entry of readNotifications(name, file === '-' ? io.stdin : createReadStream(file))) {
        yield itemOf(entry, service, servicepath);
      }
    } catch (error) {
      yield {
        kind: 'problem',
        message: `${name}: it cannot be read: ${messageOf(error)}; correct its name, or its rights`,
      };
    }
  }
}

function itemOf(entry: FileEntry, service: string, servicepath: string): Item {
  if (entry.kind === 'problem') return entry;
  return { ...entry, headers: orionHeaders(service, servicepath, randomUUID()) };
}

/** The headers of Orion's Kafka notifications. */
function orionHeaders(service: string, servicepath: string, correlator: string): Readonly<Record<string, string>>[] {
  return [{ 'fiware-service': service }, { 'fiware-servicepath': servicepath }, { 'fiware-correlator': correlator }];
}

/** Sends until the items, the count or the time are over, or the user has seen enough. */
async function publish(plan: Plan, io: Io): Promise<Summary> {
  const { address, producer } = connection(io.env, plan.brokers);
  const publisher = await Publisher.connect(address, producer);
  const progress = new Progress(io, plan);
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
      // In short steps: the user may interrupt, and the time may end while the next one is not due yet.
      for (let due = 0; (due = (notifications / plan.rate) * 1000 - elapsed()) > 0;) {
        if (interrupted || elapsed() >= plan.durationMs) break;
        await sleep(Math.min(due, 100));
        progress.tell(notifications, elapsed());
      }
      if (interrupted || elapsed() >= plan.durationMs || notifications >= plan.count) break;
      const { key, value, headers } = item;
      for (const topic of plan.topics) await publisher.send({ topic, key, value, headers });
      notifications += 1;
      if (notifications % 500 === 0) {
        // Lets a signal in, and the client's reports.
        await sleep(0);
        progress.tell(notifications, elapsed());
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

/** A line that tells how far it is: drawn anew on a terminal, now and then elsewhere. */
class Progress {
  readonly #screen: Screen;
  readonly #io: Io;
  readonly #total: string;
  #told = 0;

  constructor(io: Io, plan: Plan) {
    this.#io = io;
    this.#screen = new Screen(io.stderr);
    this.#total = Number.isFinite(plan.count) ? ` of ${grouped(plan.count)}` : '';
  }

  tell(notifications: number, elapsedMs: number): void {
    if (elapsedMs - this.#told < (this.#screen.live ? 200 : 5000)) return;
    this.#told = elapsedMs;
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

function summaryLine({ topics, notifications, records, bad, refused, seconds }: Summary): string {
  const where =
    topics.length === 1 ? `to ${topics[0] ?? ''}` : `to ${topics.length} topics (${grouped(records)} records)`;
  const what = notifications === 1 ? 'notification' : 'notifications';
  const parts = [`${grouped(notifications)} ${what} ${where} in ${seconds.toFixed(1)} s`];
  if (bad > 0) parts.push(`${grouped(bad)} left out, see above`);
  if (refused > 0) parts.push(`${grouped(refused)} records refused`);
  return parts.join(', ');
}

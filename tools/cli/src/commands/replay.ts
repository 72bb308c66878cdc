import { setTimeout as sleep } from 'node:timers/promises';
import { exitCodes, UsageError, type Command, type Io } from '../command.js';
import { namesOf } from '../kafka/names.js';
import { connection } from '../kafka/settings.js';
import { duration, instant, parseOptions, positiveNumber, wholeNumber } from '../options.js';
import { nameOfReplay, type Choice } from '../replay/choice.js';
import { groupOf, replay, type Progress } from '../replay/run.js';
import { keepingLines } from '../replay/keeping.js';
import { readKeeping } from '../replay/read-keeping.js';
import { reportText } from '../replay/survey.js';
import { Screen } from '../terminal/screen.js';
import { styleOf, wantsColours } from '../terminal/style.js';
import { grouped, quoted } from '../terminal/text.js';

const HELP = `Usage: kafnus replay plan [options]
       kafnus replay apply [options]

Sends dead letters back to the raw topics that their records came from: key, value, headers and
timestamp as they were, and a header kafnus-replay that counts. docs/replay.md says what is safe.

  plan   counts what would be sent, by topic, tenant and reason, with samples; sends nothing
  apply  sends it, each record once. Whatever ends it, the same command goes on where it was.

Which letters (by default all that were not replayed before):
  --tenant NAME        of this service; may be repeated, as all of these
  --agent NAME         refused by historic, lastdata, mutable or errors
  --from TOPIC         of records that came from this topic
  --reason CODE        such as not-json or topic-unwritable; of a sink the class of its exception
  --entity ID          about this entity
  --since TIME         whose records are not older than a date, or than 30m, 12h, ...
  --until TIME         and older than this
  --again              those that came back from a replay, instead of those that did not
  --limit N            at most so many; the same command goes on behind them

How:
  --rate N             records a second (default: as fast as possible)
  --ignore-retention   also records that are older than their topic keeps them (retention.ms), which
                       Kafka may delete before an agent has read them; without it, nothing is sent
  --to TOPIC           to this topic instead; needed for records that came from no raw topic, such
                       as failures of sinks: --from harbour --to harbour
  --topic TOPIC        the dead-letter topic (default: KAFNUS_DEAD_LETTER_TOPIC, else raw_errors
                       after KAFNUS_TOPIC_PREFIX)
  --name NAME          names the replay, whose position is kept in the consumer group
                       kafnus-replay-NAME (default: made of the options that choose letters)
  --brokers LIST       host:port,... (default: KAFNUS_KAFKA_BROKERS); TLS and SASL are set by
                       KAFNUS_KAFKA_... as for the agents
  --json               print one JSON object
  --help

Exit codes: 0 done, or nothing to send; 1 failed, and the message says what to do; 2 called wrongly;
130 interrupted.

Examples:
  kafnus replay plan --tenant harbour --reason topic-unwritable --since 12h
  kafnus replay apply --tenant harbour --reason topic-unwritable --since 12h --rate 200
`;

const actions = ['plan', 'apply'] as const;
const agents = ['historic', 'lastdata', 'mutable', 'errors'] as const;

/** `kafnus replay`: dead letters back to where they came from. */
export const command: Command = {
  help: HELP,
  async run(argv, io) {
    const { values, positionals } = parseOptions(
      argv,
      {
        tenant: { type: 'string', multiple: true, default: [] },
        agent: { type: 'string', multiple: true, default: [] },
        from: { type: 'string', multiple: true, default: [] },
        reason: { type: 'string', multiple: true, default: [] },
        entity: { type: 'string', multiple: true, default: [] },
        since: { type: 'string' },
        until: { type: 'string' },
        again: { type: 'boolean', default: false },
        limit: { type: 'string' },
        rate: { type: 'string' },
        'ignore-retention': { type: 'boolean', default: false },
        to: { type: 'string' },
        topic: { type: 'string' },
        name: { type: 'string' },
        brokers: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
      true,
    );
    const [given, surplus] = positionals;
    const action = actions.find((one) => one === given);
    if (action === undefined) {
      const what = given === undefined ? 'what to do is missing' : `unknown action ${quoted(given)}`;
      throw new UsageError(`${what}: kafnus replay plan, or kafnus replay apply`);
    }
    if (surplus !== undefined) throw new UsageError(`unexpected argument ${quoted(surplus)}`);

    const names = namesOf(io.env);
    const topic = values.topic ?? names.deadLetter;
    for (const each of [topic, ...values.from, ...(values.to === undefined ? [] : [values.to])]) requireTopicName(each);
    if (values.to?.startsWith('__')) throw new UsageError(`--to ${quoted(values.to)} is a topic of Kafka itself`);
    if (values.to === topic)
      throw new UsageError(`--to ${quoted(topic)} is the dead-letter topic: letters would turn in circles`);
    const byAgent = values.agent.map((name) => {
      if (!agents.some((agent) => agent === name))
        throw new UsageError(`--agent must be of ${agents.join(', ')}, not ${quoted(name)}`);
      return `${names.prefix}raw_${name}`;
    });
    const strange = byAgent.find((input) => values.from.length > 0 && !values.from.includes(input));
    if (strange !== undefined)
      throw new UsageError(`--agent and --from name different topics: ${strange} is the agent's`);

    const choice: Choice = {
      topic,
      tenants: values.tenant.map((tenant) => tenant.toLowerCase()),
      from: values.from.length > 0 ? values.from : byAgent,
      reasons: values.reason,
      entities: values.entity,
      since: values.since === undefined ? undefined : timeOf('--since', values.since),
      until: values.until === undefined ? undefined : timeOf('--until', values.until),
      again: values.again,
      to: values.to,
      inputs: names.inputs,
    };
    const { since, until, to, again } = values;
    const { tenants, from, reasons, entities } = choice;
    const name = values.name ?? nameOfReplay({ topic, tenants, from, reasons, entities, since, until, again, to });
    if (!/^[A-Za-z0-9._-]{1,100}$/.test(name)) {
      throw new UsageError(`--name ${quoted(name)} must be 1 to 100 letters, digits, dots, dashes and underscores`);
    }
    const limit = values.limit === undefined ? Infinity : wholeNumber('--limit', values.limit);
    const rate = values.rate === undefined ? Infinity : positiveNumber('--rate', values.rate);

    const { brokers, address, producer, env } = connection(io.env, values.brokers);
    const progress = new ProgressLine(io);
    let interrupted = false;
    void io.interrupted().then(() => (interrupted = true));
    try {
      const report = await replay({
        action,
        address,
        producer,
        name,
        choice,
        prefix: names.prefix,
        limit,
        rate,
        keeping: (each) => readKeeping(env, each),
        ignoreRetention: values['ignore-retention'],
        onProgress: (state) => progress.tell(state),
        interrupted: () => interrupted,
        sleep,
      });
      progress.end();
      const kept = keepingLines(report.destinations, brokers);
      const again = `kafnus replay apply ${argv
        .filter((each) => each !== 'plan' && each !== '--json')
        .map(shellWord)
        .join(' ')}`;
      const style = styleOf(wantsColours(io.stdout, io.env));
      io.stdout.write(
        values.json
          ? `${JSON.stringify(report)}\n`
          : reportText(report, again.trim(), report.refused ? [] : kept, new Screen(io.stdout).width, style),
      );
      if (report.refused) throw new Error(['nothing was sent.', ...kept].join('\n'));
      return report.complete ? exitCodes.ok : exitCodes.interrupted;
    } catch (error) {
      const sent = progress.sent;
      if (sent === 0) throw error;
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(
        `${message}. ${grouped(sent)} records were sent before; the same command goes on behind them (group ${groupOf(name)})`,
        { cause: error },
      );
    } finally {
      progress.end();
    }
  },
};

/** A date, or how long ago. */
function timeOf(option: string, text: string): number {
  if (/^\d{4}-/.test(text)) return instant(option, text);
  if (/^\d/.test(text)) return Date.now() - duration(option, text);
  throw new UsageError(
    `${option} must be a date such as 2026-05-01T08:00:00Z or a time ago such as 30m, not ${quoted(text)}`,
  );
}

function requireTopicName(text: string): void {
  if (/^[A-Za-z0-9._-]{1,249}$/.test(text)) return;
  throw new UsageError(`${quoted(text)} is no legal topic name: letters, digits, dots, dashes and underscores`);
}

/** As a shell reads it back. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A bar on a terminal; elsewhere a line now and then. */
class ProgressLine {
  readonly #io: Io;
  readonly #screen: Screen;
  #told = performance.now();
  #sent = 0;

  constructor(io: Io) {
    this.#io = io;
    this.#screen = new Screen(io.stderr);
  }

  /** Records that were sent and committed. */
  get sent(): number {
    return this.#sent;
  }

  tell({ doing, done, total }: Progress): void {
    if (doing === 'sending') this.#sent = done;
    const now = performance.now();
    if (now - this.#told < (this.#screen.live ? 100 : 5000) && (done < total || doing === 'reading')) return;
    this.#told = now;
    const what = doing === 'sending' ? `sent ${grouped(done)} of ${grouped(total)}` : `read ${grouped(done)} letters`;
    if (!this.#screen.live) this.#io.stderr.write(`${what}\n`);
    else this.#screen.draw([doing === 'sending' ? `${bar(done / total)} ${what}` : what]);
  }

  end(): void {
    this.#screen.draw([]);
  }
}

const BAR = 24;

function bar(part: number): string {
  const full = Math.round(Math.min(1, part) * BAR);
  return `[${'='.repeat(full)}${' '.repeat(BAR - full)}]`;
}

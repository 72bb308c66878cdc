import { messageOf } from '@kafnus/kafka-admin';
import { agentNames } from '@kafnus/ngsi-core';
import { setTimeout as sleep } from 'node:timers/promises';
import { exitCodes, UsageError, type Command, type Io } from '../command.js';
import { connection } from '../kafka/connection.js';
import { inputOf, namesOf } from '../kafka/topic-names.js';
import { actionOf, instantOrAge, parseOptions, positiveNumber, requireTopicName, wholeNumber } from '../options.js';
import { readRetention } from '../replay/read-retention.js';
import { groupOf, replayDeadLetters, type Progress } from '../replay/replay-dead-letters.js';
import { reportText } from '../replay/replay-report.js';
import { defaultReplayName, type ReplaySelection } from '../replay/replay-selection.js';
import { retentionWarnings } from '../replay/retention.js';
import { Screen } from '../terminal/screen.js';
import { styleOf, wantsColours } from '../terminal/style.js';
import { grouped, quoted, shellQuoted } from '../terminal/text.js';

const helpText = `Usage: kafnus replay plan [options]
       kafnus replay apply [options]

Sends the records of dead letters back to their raw topics, with their original key, value, headers
and timestamp, and with a header kafnus-replay that counts the replays. docs/replay.md describes
when this is safe.

  plan   counts what would be sent by topic, tenant and reason, with samples; sends nothing
  apply  sends each record once; when it ends early, the same command continues

Selection (default: all records that were not replayed before; the first five may be repeated):
  --tenant NAME        of this fiware-service
  --agent NAME         refused by historic, lastdata, mutable or errors
  --from TOPIC         refused in this topic
  --reason CODE        such as not-json or topic-unwritable; of a sink, the class of its exception
  --entity ID          of this entity
  --since TIME         with a timestamp not before a date, or not older than 30m, 12h, ...
  --until TIME         with a timestamp before this
  --again              only records that were replayed before
  --limit N            at most so many records; the same command continues behind them

Options:
  --rate N             records per second (default: as fast as possible)
  --ignore-retention   also send records that are older than the retention.ms of their topic, which
                       Kafka may delete before an agent reads them; without it, nothing is sent
  --to TOPIC           send to this topic; needed when the record comes from no raw topic, such as
                       a failure of a sink: --from harbour --to harbour
  --topic TOPIC        the dead-letter topic (default: KAFNUS_DEAD_LETTER_TOPIC, else raw_errors
                       after KAFNUS_TOPIC_PREFIX)
  --name NAME          name of the replay, whose offsets are stored in the consumer group
                       kafnus-replay-NAME (default: a hash of the selection)
  --brokers LIST       host:port,... (default: KAFNUS_KAFKA_BROKERS); TLS and SASL are set by
                       KAFNUS_KAFKA_... as for the agents
  --json               print one JSON object
  --help

Exit codes: 0 done, or nothing to send; 1 failed, and the message says what to do; 2 wrong usage;
130 interrupted.

Examples:
  kafnus replay plan --tenant harbour --reason topic-unwritable --since 12h
  kafnus replay apply --tenant harbour --reason topic-unwritable --since 12h --rate 200
`;

const actions = ['plan', 'apply'] as const;

export const command: Command = {
  help: helpText,
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
    const action = actionOf(positionals, actions, 'kafnus replay plan, or kafnus replay apply');
    const names = namesOf(io.env);
    const topic = values.topic ?? names.deadLetter;
    const { since, until, to, again } = values;
    requireTopicName('--topic', topic);
    for (const each of values.from) requireTopicName('--from', each);
    if (to !== undefined) requireTopicName('--to', to);
    if (to?.startsWith('__')) throw new UsageError(`--to ${quoted(to)} is an internal topic of Kafka`);
    if (to === topic)
      throw new UsageError(`--to ${quoted(topic)} is the dead-letter topic: its records would be replayed in a loop`);
    const inputTopics = values.agent.map((name) => {
      const agent = agentNames.find((one) => one === name);
      if (agent !== undefined) return inputOf(names, agent);
      throw new UsageError(`--agent must be of ${agentNames.join(', ')}, not ${quoted(name)}`);
    });
    const conflicting = inputTopics.find((input) => values.from.length > 0 && !values.from.includes(input));
    if (conflicting !== undefined)
      throw new UsageError(`--agent and --from name different topics: the input of the agent is ${conflicting}`);

    const selection: ReplaySelection = {
      topic,
      tenants: values.tenant.map((tenant) => tenant.toLowerCase()),
      originTopics: values.from.length > 0 ? values.from : inputTopics,
      reasons: values.reason,
      entities: values.entity,
      since: since === undefined ? undefined : instantOrAge('--since', since),
      until: until === undefined ? undefined : instantOrAge('--until', until),
      onlyReplayed: again,
      destination: to,
      rawTopics: names.inputs,
    };
    const { tenants, originTopics: from, reasons, entities } = selection;
    const name = values.name ?? defaultReplayName({ topic, tenants, from, reasons, entities, since, until, again, to });
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
      const report = await replayDeadLetters({
        action,
        address,
        producer,
        name,
        selection,
        prefix: names.prefix,
        limit,
        rate,
        retention: (each) => readRetention(env, each),
        ignoreRetention: values['ignore-retention'],
        onProgress: (state) => progress.show(state),
        interrupted: () => interrupted,
        sleep,
      });
      progress.end();
      const warnings = retentionWarnings(report.destinations, brokers);
      const options = argv.filter((each) => each !== 'plan' && each !== '--json').map(shellWord);
      const style = styleOf(wantsColours(io.stdout, io.env));
      io.stdout.write(
        values.json
          ? `${JSON.stringify(report)}\n`
          : reportText(
              report,
              ['kafnus replay apply', ...options].join(' '),
              report.refused ? [] : warnings,
              new Screen(io.stdout).width,
              style,
            ),
      );
      if (report.refused) throw new Error(['nothing was sent.', ...warnings].join('\n'));
      return report.complete ? exitCodes.ok : exitCodes.interrupted;
    } catch (error) {
      const { sent } = progress;
      if (sent === 0) throw error;
      throw new Error(
        `${messageOf(error)}. ${grouped(sent)} records were sent before; the same command continues behind them (group ${groupOf(name)})`,
        { cause: error },
      );
    } finally {
      progress.end();
    }
  },
};

/** The argument as a shell reads it. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : shellQuoted(text);
}

/** A progress bar on a terminal; elsewhere a line every 5 seconds. */
class ProgressLine {
  readonly #io: Io;
  readonly #screen: Screen;
  #shownAt = performance.now();
  #sent = 0;

  constructor(io: Io) {
    this.#io = io;
    this.#screen = new Screen(io.stderr);
  }

  /** The number of records that were sent and committed. */
  get sent(): number {
    return this.#sent;
  }

  show({ doing, done, total }: Progress): void {
    if (doing === 'sending') this.#sent = done;
    const now = performance.now();
    if (now - this.#shownAt < (this.#screen.live ? 100 : 5000) && (done < total || doing === 'reading')) return;
    this.#shownAt = now;
    const what =
      doing === 'sending' ? `sent ${grouped(done)} of ${grouped(total)}` : `read ${grouped(done)} dead letters`;
    if (!this.#screen.live) this.#io.stderr.write(`${what}\n`);
    else this.#screen.draw([doing === 'sending' ? `${bar(done / total)} ${what}` : what]);
  }

  end(): void {
    this.#screen.draw([]);
  }
}

const barWidth = 24;

function bar(part: number): string {
  const full = Math.round(Math.min(1, part) * barWidth);
  return `[${'='.repeat(full)}${' '.repeat(barWidth - full)}]`;
}

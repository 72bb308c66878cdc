import { changelogTopic } from '@kafnus/agent-runtime';
import { exitCodes, UsageError, type Command, type Io } from '../command.js';
import { connection } from '../kafka/settings.js';
import { parseOptions, wholeNumber } from '../options.js';
import { partitioners, type Partitioner, type Placement } from '../state/placement.js';
import {
  checkState,
  Interrupted,
  repartition,
  type RepartitionReport,
  type StateOptions,
  type StateReport,
} from '../state/repartition.js';
import { Screen } from '../terminal/screen.js';
import { grouped, quoted } from '../terminal/text.js';

const HELP = `Usage: kafnus state repartition [options]
       kafnus state check [options]

The state of lastdata: the newest TimeInstant of each entity, in the changelog topic
<group>-newest-changelog. What an entity's records in partition n of the input leave behind lies in
partition n of the changelog. With more partitions in the input its records come from another one,
and its state has to be there before.

  repartition  gives input and changelog more partitions, and carries the state over. The agent must
               be stopped and have read everything; whatever ends it, the same command goes on.
  check        looks whether the agent would find all of the state; the agent may run

"Adding partitions" in docs/operations.md is the whole procedure.

Options:
  --partitions N        how many the input is to have (repartition only; default: as many as it has)
  --group NAME          consumer group (default: KAFNUS_GROUP_ID, else ngsi-agent-lastdata)
  --input-topic TOPIC   (default: KAFNUS_INPUT_TOPIC, else raw_lastdata after KAFNUS_TOPIC_PREFIX)
  --partitioner NAME    how publishers choose the partition of an entity id: murmur2 (Java clients)
                        or crc32 (librdkafka's default). Default: what the state itself proves. One
                        that the state does not fit is refused.
  --everywhere          give every partition all of the state: right whatever the records are keyed
                        by, and so many times as large
  --dry-run             change nothing, and tell what would be done (repartition only)
  --brokers LIST        host:port,... (default: KAFNUS_KAFKA_BROKERS); TLS and SASL are set by
                        KAFNUS_KAFKA_... as for the agents
  --json                print one JSON object at the end
  --help

Exit codes: 0 done, nothing to do, or (check) all in place; 1 refused, failed, or (check) something
is wrong, and the message says what to do; 2 called wrongly; 130 interrupted.

Examples:
  kafnus state repartition --partitions 8 --dry-run
  kafnus state repartition --partitions 8 && kafnus state check
`;

const actions = ['repartition', 'check'] as const;

/** `kafnus state`: carries the state of lastdata over to more partitions. */
export const command: Command = {
  help: HELP,
  async run(argv, io) {
    const { values, positionals } = parseOptions(
      argv,
      {
        partitions: { type: 'string' },
        group: { type: 'string' },
        'input-topic': { type: 'string' },
        partitioner: { type: 'string' },
        everywhere: { type: 'boolean', default: false },
        'dry-run': { type: 'boolean', default: false },
        brokers: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
      true,
    );
    const [name, surplus] = positionals;
    const action = actions.find((one) => one === name);
    if (action === undefined) {
      const what = name === undefined ? 'what to do is missing' : `unknown action ${quoted(name)}`;
      throw new UsageError(`${what}: kafnus state repartition, or kafnus state check`);
    }
    if (surplus !== undefined) throw new UsageError(`unexpected argument ${quoted(surplus)}`);
    if (action === 'check' && values.partitions !== undefined)
      throw new UsageError('--partitions is for kafnus state repartition');
    if (action === 'check' && values['dry-run']) throw new UsageError('--dry-run is for kafnus state repartition');
    const placement = placementOf(values.partitioner, values.everywhere);
    const partitions = values.partitions === undefined ? undefined : wholeNumber('--partitions', values.partitions);
    const group = values.group ?? fromEnv(io, 'KAFNUS_GROUP_ID') ?? 'ngsi-agent-lastdata';
    const inputTopic = (
      values['input-topic'] ??
      fromEnv(io, 'KAFNUS_INPUT_TOPIC') ??
      '{prefix}raw_lastdata'
    ).replaceAll('{prefix}', fromEnv(io, 'KAFNUS_TOPIC_PREFIX') ?? '');
    requireTopicName('--group', group, changelogTopic(group, 'newest'));
    requireTopicName('--input-topic', inputTopic, inputTopic);

    const kafka = connection(io.env, values.brokers);
    let interrupted = false;
    void io.interrupted().then(() => (interrupted = true));
    const screen = new Screen(io.stderr);
    const options: StateOptions = {
      kafka,
      group,
      inputTopic,
      placement,
      onProgress: (what) => screen.draw([what]),
      interrupted: () => interrupted,
    };
    try {
      const report =
        action === 'check'
          ? await checkState(options)
          : await repartition({ ...options, producer: kafka.producer, partitions, dryRun: values['dry-run'] });
      screen.draw([]);
      const problem = 'problem' in report ? report.problem : null;
      if (values.json) io.stdout.write(`${JSON.stringify(report)}\n`);
      else io.stdout.write('problem' in report ? checkText(report) : repartitionText(report));
      if (problem === null) return exitCodes.ok;
      io.stderr.write(`kafnus state: ${problem}\n`);
      return exitCodes.failure;
    } catch (error) {
      screen.draw([]);
      if (!(error instanceof Interrupted)) throw error;
      io.stderr.write(`kafnus state: interrupted. ${error.message}\n`);
      return exitCodes.interrupted;
    }
  },
};

function placementOf(partitioner: string | undefined, everywhere: boolean): Placement | undefined {
  if (partitioner === undefined) return everywhere ? 'everywhere' : undefined;
  if (everywhere) throw new UsageError('--everywhere needs no --partitioner: every partition gets all of the state');
  const known: Partitioner | undefined = partitioners.find((one) => one === partitioner);
  if (known !== undefined) return known;
  throw new UsageError(`--partitioner must be ${partitioners.join(' or ')}, not ${quoted(partitioner)}`);
}

function fromEnv(io: Io, name: string): string | undefined {
  return io.env[name] === '' ? undefined : io.env[name];
}

function requireTopicName(option: string, given: string, topic: string): void {
  if (/^[A-Za-z0-9._-]{1,249}$/.test(topic)) return;
  throw new UsageError(
    `${option} ${quoted(given)} gives no legal topic name: letters, digits, dots, dashes and underscores`,
  );
}

function placedText(placement: Placement | null): string {
  if (placement === null) return '';
  return placement === 'everywhere' ? ', all of them in every partition' : `, placed by ${placement} of the entity id`;
}

function headText({
  inputTopic,
  changelog,
  partitions,
  entities,
  foreign,
  placement,
}: Omit<StateReport, 'problem'>): string {
  const strange =
    foreign === 0 ? '' : `${grouped(foreign)} records of ${changelog} are not of lastdata, and were left alone\n`;
  return (
    `${inputTopic}: ${partitions.input} partitions\n` +
    `${changelog}: ${partitions.changelog} partitions, ${grouped(entities)} entities${placedText(placement)}\n${strange}`
  );
}

function checkText(report: StateReport): string {
  return `${headText(report)}${report.problem === null ? 'all of the state is in place\n' : ''}`;
}

function repartitionText(report: RepartitionReport): string {
  const { partitions, target, written, deleted, dryRun, unread } = report;
  const grown = partitions.input === target && partitions.changelog === target;
  if (grown && written + deleted === 0) return `${headText(report)}nothing to do: all of the state is in place\n`;
  const would = dryRun ? 'would be ' : '';
  const done =
    `${grouped(written)} entries ${would}written where they belong, ${grouped(deleted)} ${would}deleted where they do not\n` +
    `both topics ${dryRun ? 'would have' : 'have'} ${target} partitions\n`;
  const left =
    unread === 0
      ? ''
      : `about ${grouped(unread)} records were published before and not read: go on with "If the input has more partitions ` +
        `already" in docs/operations.md\n`;
  return headText(report) + done + left;
}

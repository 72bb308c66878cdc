import { changelogTopic } from '@kafnus/agent-runtime';
import { exitCodes, UsageError, type Command, type Io } from '../command.js';
import { connection } from '../kafka/connection.js';
import { actionOf, parseOptions, requireTopicName, wholeNumber } from '../options.js';
import { partitioners, type Partitioner, type Placement } from '../state/state-placement.js';
import { Interrupted, storeName, type StateOptions, type StateReport } from '../state/changelog-state.js';
import { checkState } from '../state/check-state.js';
import { repartition, type RepartitionReport } from '../state/repartition.js';
import { Screen } from '../terminal/screen.js';
import { grouped, quoted } from '../terminal/text.js';

const helpText = `Usage: kafnus state repartition [options]
       kafnus state check [options]

The state of lastdata is the newest TimeInstant of each entity, in the changelog topic
<group>-newest-changelog. The state of records in partition n of the input is in partition n of the
changelog. When partitions are added to the input, the records of an entity come from another
partition, and its state must be moved there first.

  repartition  adds partitions to input and changelog, and moves the state. The agent must be
               stopped and must have read everything. When it ends early, the same command
               continues.
  check        checks whether the agent would find all of its state; the agent may run

"Adding partitions" in docs/operations.md describes the whole procedure.

Options:
  --partitions N        number of partitions to reach (repartition only; default: the present one)
  --group NAME          consumer group (default: KAFNUS_GROUP_ID, else ngsi-agent-lastdata)
  --input-topic TOPIC   (default: KAFNUS_INPUT_TOPIC, else raw_lastdata after KAFNUS_TOPIC_PREFIX)
  --partitioner NAME    how producers choose the partition of an entity id: murmur2 (Java clients)
                        or crc32 (librdkafka's default). Default: the one that the state proves. One
                        that the state contradicts is refused.
  --everywhere          give every partition all of the state: right for any key of the records,
                        and so many times as large
  --dry-run             change nothing, and report what would be done (repartition only)
  --brokers LIST        host:port,... (default: KAFNUS_KAFKA_BROKERS); TLS and SASL are set by
                        KAFNUS_KAFKA_... as for the agents
  --json                print one JSON object at the end
  --help

Exit codes: 0 done, nothing to do, or (check) all in place; 1 refused, failed, or (check) something
is wrong, and the message says what to do; 2 wrong usage; 130 interrupted.

Examples:
  kafnus state repartition --partitions 8 --dry-run
  kafnus state repartition --partitions 8 && kafnus state check
`;

const actions = ['repartition', 'check'] as const;

export const command: Command = {
  help: helpText,
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
    const action = actionOf(positionals, actions, 'kafnus state repartition, or kafnus state check');
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
    requireTopicName('--group', group, changelogTopic(group, storeName));
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
    foreign === 0
      ? ''
      : `${grouped(foreign)} records of ${changelog} were not written by lastdata, and are left alone\n`;
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
    `${grouped(written)} entries ${would}written to their right partitions, ${grouped(deleted)} ${would}deleted in others\n` +
    `both topics ${dryRun ? 'would have' : 'have'} ${target} partitions\n`;
  const left =
    unread === 0
      ? ''
      : `about ${grouped(unread)} records were published before and not read: continue with "If the input has more partitions ` +
        `already" in docs/operations.md\n`;
  return headText(report) + done + left;
}

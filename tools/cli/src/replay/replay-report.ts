/** The counts and samples of a replay, and its report as text. Pure. */
import type { Style } from '../terminal/style.js';
import { table } from '../terminal/table.js';
import { clipped, grouped, printable, wrapped } from '../terminal/text.js';
import type { SkipReason } from './replay-selection.js';
import { expiredRecords, type DestinationRetention } from './retention.js';
import { entityIds, type DeadLetterRecord } from './dead-letter-record.js';

/** Dead letters of one origin topic, tenant and reason. */
export interface ReplayCount {
  /** The origin topic. */
  readonly from: string;
  readonly tenant: string;
  readonly reason: string;
  count: number;
}

/** One dead letter as an example. */
export interface ReplaySample {
  /** `topic-partition@offset` of the dead-letter record. */
  readonly letter: string;
  readonly from: string;
  readonly tenant: string;
  readonly reason: string;
  readonly entities: readonly string[];
  /** ISO 8601; null when the record has no timestamp. */
  readonly time: string | null;
  readonly message: string;
}

/** The result of `kafnus replay`. The fields are the JSON output. */
export interface ReplayReport {
  readonly action: 'plan' | 'apply';
  readonly topic: string;
  /** The name of the replay, and the consumer group of its committed offsets. */
  readonly name: string;
  readonly group: string;
  /** Records of the dead-letter topic that were read: those behind the committed offsets. */
  readonly read: number;
  /** Dead letters that are selected and can be sent. */
  readonly fit: number;
  /** Records that were sent and committed by this run. */
  readonly sent: number;
  /** True: nothing was sent, because records are older than the retention of their topic. */
  readonly refused: boolean;
  readonly destinations: readonly DestinationRetention[];
  readonly counts: readonly ReplayCount[];
  readonly samples: readonly ReplaySample[];
  readonly leftOut: readonly {
    readonly why: SkipReason;
    readonly from: string;
    readonly count: number;
    readonly example: string;
  }[];
  /** Records for lastdata with an entity without TimeInstant. */
  readonly undated: number;
  /** False: the user interrupted the run. */
  readonly complete: boolean;
}

/** Bounds the memory: topics and tenants are names from records, which anybody may have written. */
const maxRows = 500;
const otherRows = '(others)';
const maxSamples = 5;
const maxMessageLength = 200;

/** Counts dead letters while they are read. */
export class ReplayScan {
  read = 0;
  fit = 0;
  undated = 0;
  /** The topics that records are sent to, by name. */
  readonly destinations = new Map<string, DestinationRetention>();
  readonly #counts = new Map<string, ReplayCount>();
  readonly #samples = new Map<string, ReplaySample>();
  readonly #skipped = new Map<string, { why: SkipReason; from: string; count: number; example: string }>();

  /**
   * Counts one that is sent.
   * @param undated whether it is for lastdata and has an entity without TimeInstant
   */
  add(deadLetter: DeadLetterRecord, undated: boolean): void {
    this.fit += 1;
    if (undated) this.undated += 1;
    const { origin, tenant, reason } = deadLetter;
    const id = JSON.stringify([origin.topic, tenant, reason]);
    let count = this.#counts.get(id);
    if (count === undefined) {
      const known = this.#counts.size < maxRows;
      const key = known ? id : otherRows;
      count = this.#counts.get(key) ?? {
        from: known ? origin.topic : otherRows,
        tenant: known ? tenant : '',
        reason: known ? reason : '',
        count: 0,
      };
      this.#counts.set(key, count);
      // One of each kind, instead of the first five.
      if (this.#samples.size < maxSamples) this.#samples.set(id, sampleOf(deadLetter));
    }
    count.count += 1;
  }

  /**
   * Counts one that is selected and not sent.
   * @param example its position, and what is wrong with it
   */
  addSkipped(why: SkipReason, from: string, example: string): void {
    const id = JSON.stringify([why, from]);
    const known = this.#skipped.has(id) || this.#skipped.size < maxRows;
    const key = known ? id : JSON.stringify([why, otherRows]);
    const entry = this.#skipped.get(key) ?? { why, from: known ? from : otherRows, count: 0, example };
    entry.count += 1;
    this.#skipped.set(key, entry);
  }

  report(
    run: Pick<ReplayReport, 'action' | 'topic' | 'name' | 'group' | 'sent' | 'refused' | 'complete'>,
  ): ReplayReport {
    const { read, fit, undated } = this;
    const byCount = (a: { count: number }, b: { count: number }): number => b.count - a.count;
    const counts = [...this.#counts.values()].sort(byCount);
    return {
      ...run,
      read,
      fit,
      destinations: [...this.destinations.values()],
      counts,
      samples: [...this.#samples.values()],
      leftOut: [...this.#skipped.values()].sort(byCount),
      undated,
    };
  }
}

export function positionText({ topic, partition, offset }: DeadLetterRecord['position']): string {
  return `${topic}-${partition}@${offset}`;
}

function sampleOf(deadLetter: DeadLetterRecord): ReplaySample {
  const { position, origin, tenant, reason, timestamp, message } = deadLetter;
  const time = timestamp >= 0 && timestamp <= 8.64e15 ? new Date(timestamp).toISOString() : null;
  const entities = entityIds(deadLetter).slice(0, 3);
  return {
    letter: positionText(position),
    from: origin.topic,
    tenant,
    reason,
    entities,
    time,
    message: clipped(message, maxMessageLength),
  };
}

const columns = [
  { title: 'FROM' },
  { title: 'TENANT' },
  { title: 'REASON', shrinks: 'cut' as const },
  { title: 'RECORDS', align: 'right' as const },
];
const shownRows = 20;

/**
 * @param command the command line that sends what the plan shows
 * @param warnings about retention, one per line
 */
export function reportText(
  report: ReplayReport,
  command: string,
  warnings: readonly string[],
  width: number,
  style: Style,
): string {
  const { action, topic, name, read, fit, sent, counts, samples, leftOut, undated, destinations, complete } = report;
  const lines: string[] = [];
  const applied = action === 'apply';
  lines.push(
    applied
      ? `${style.bold(`${grouped(sent)} of ${grouped(fit)}`)} records were sent back from ${topic} (replay ${name})`
      : `${style.bold(grouped(fit))} of ${grouped(read)} dead letters in ${topic} would be sent back (replay ${name})`,
  );
  if (counts.length > 0) {
    const rows = counts
      .slice(0, shownRows)
      .map(({ from, tenant, reason, count }) => [
        { text: printable(from) },
        { text: printable(tenant) },
        { text: printable(reason) },
        { text: grouped(count) },
      ]);
    lines.push('', ...table(columns, rows, width, style));
    if (counts.length > shownRows)
      lines.push(style.dim(`and ${counts.length - shownRows} more kinds: --json lists all`));
  }
  if (!applied && samples.length > 0) {
    lines.push('', 'Samples:');
    for (const { letter, entities, time, message } of samples) {
      const what = [letter, ...(time === null ? [] : [time]), entities.join(', ')].map(printable).join('  ');
      // The message is not cut: it ends with what to do.
      lines.push(`  ${clipped(what, width - 2)}`);
      lines.push(...wrapped(printable(message), width - 4).map((line) => style.dim(`    ${line}`)));
    }
  }
  if (leftOut.length > 0) {
    lines.push('', 'Not sent:');
    for (const entry of leftOut.slice(0, shownRows)) lines.push(`  ${grouped(entry.count)} ${skipText(entry)}`);
  }
  if (undated > 0) {
    lines.push(
      '',
      style.yellow(
        `${grouped(undated)} records for lastdata have an entity without TimeInstant. lastdata cannot tell that they are old, and`,
      ),
      style.yellow('overwrites newer versions with them. To leave them out, use --from, --tenant or --reason.'),
    );
  }
  if (warnings.length > 0) lines.push('', ...warnings.map((line) => style.yellow(line)));
  if (!complete) lines.push('', 'interrupted: the same command continues from here');
  else if (!applied && fit > 0) {
    const then =
      expiredRecords(destinations) > 0
        ? 'Once the retention is raised, this command sends them'
        : 'This command sends them';
    lines.push('', `Nothing was sent. ${then}: ${command}`);
  } else if (fit === 0) lines.push('', nothingToSendText(report));
  else if (sent > 0)
    lines.push('', 'Records that are refused again are skipped by later replays, unless --again selects them.');
  return `${lines.join('\n')}\n`;
}

/** Why there is nothing to send. A mistyped tenant or reason must not look like success. */
function nothingToSendText({ read, topic, name, leftOut }: ReplayReport): string {
  if (read === 0) return `Nothing to send: ${topic} has no records, or this replay (${name}) has read all of them.`;
  if (leftOut.length > 0) return 'Nothing to send.';
  return 'Nothing to send: none of them matches. kafnus replay plan without further options shows their tenants and reasons.';
}

function skipText({ why, from, example }: ReplayReport['leftOut'][number]): string {
  const topic = printable(from);
  const where = printable(example);
  switch (why) {
    case 'foreign':
      return `are no dead letters, such as ${where}`;
    case 'came-back':
      return `from ${topic} were replayed before and refused again, such as ${where}: remove the cause, then add --again`;
    case 'no-value':
      return `from ${topic} have no value, which was too large for the dead-letter topic, such as ${where}`;
    case 'no-raw-topic':
      return (
        `from ${topic}, which is not a raw topic: to send them there, add --from ${topic} --to ${topic}` +
        (topic.includes('_lastdata') ? '. Check them first: the sink overwrites newer rows with older ones' : '')
      );
  }
}

/** What a replay found and did: counts, samples and what stays, for a person or a script. Pure. */
import type { Style } from '../terminal/style.js';
import { table } from '../terminal/table.js';
import { clipped, grouped, printable, wrapped } from '../terminal/text.js';
import type { LeftOut } from './choice.js';
import { lateOf, type Kept } from './keeping.js';
import { entityIds, type Letter } from './letter.js';

/** Letters of one kind. */
export interface Count {
  /** The topic that the records came from. */
  readonly from: string;
  readonly tenant: string;
  readonly reason: string;
  count: number;
}

/** One letter, for a look at what it is about. */
export interface Sample {
  /** `topic-partition@offset` of the letter. */
  readonly letter: string;
  readonly from: string;
  readonly tenant: string;
  readonly reason: string;
  readonly entities: readonly string[];
  /** ISO 8601; null when the record has no time. */
  readonly time: string | null;
  readonly message: string;
}

/** The outcome of `kafnus replay`. */
export interface ReplayReport {
  readonly action: 'plan' | 'apply';
  readonly topic: string;
  /** The replay's name, and the consumer group that keeps its position. */
  readonly name: string;
  readonly group: string;
  /** Records of the dead-letter topic that were read: those behind the position of the replay. */
  readonly read: number;
  /** Letters that fit the filters and can be sent. */
  readonly fit: number;
  /** Records that were sent and committed by this run. */
  readonly sent: number;
  /** True: nothing was sent, for some records are older than their topic keeps them. */
  readonly refused: boolean;
  /** Where the records go, and what is kept there. */
  readonly destinations: readonly Kept[];
  readonly counts: readonly Count[];
  readonly samples: readonly Sample[];
  readonly leftOut: readonly {
    readonly why: LeftOut;
    readonly from: string;
    readonly count: number;
    readonly example: string;
  }[];
  /** Records for lastdata with an entity without TimeInstant. */
  readonly undated: number;
  /** False: interrupted. */
  readonly complete: boolean;
}

/** Rows at most: what names topics and tenants may be hostile. */
const MOST_ROWS = 500;
const REST = '(others)';
const SAMPLES = 5;
const MESSAGE = 200;

/** Counts letters while they are read. */
export class Survey {
  read = 0;
  fit = 0;
  undated = 0;
  /** By topic. */
  readonly destinations = new Map<string, Kept>();
  readonly #counts = new Map<string, Count>();
  readonly #samples = new Map<string, Sample>();
  readonly #left = new Map<string, { why: LeftOut; from: string; count: number; example: string }>();

  /** A letter that is sent. @param undated see `hasUndatedEntity` */
  add(letter: Letter, undated: boolean): void {
    this.fit += 1;
    if (undated) this.undated += 1;
    const { origin, tenant, reason } = letter;
    const id = JSON.stringify([origin.topic, tenant, reason]);
    let count = this.#counts.get(id);
    if (count === undefined) {
      const known = this.#counts.size < MOST_ROWS;
      const key = known ? id : REST;
      count = this.#counts.get(key) ?? {
        from: known ? origin.topic : REST,
        tenant: known ? tenant : '',
        reason: known ? reason : '',
        count: 0,
      };
      this.#counts.set(key, count);
      // One of each kind tells more than the first five.
      if (this.#samples.size < SAMPLES) this.#samples.set(id, sampleOf(letter));
    }
    count.count += 1;
  }

  /** A letter that fits the filters and is not sent. @param example says where it is, and what of it is wrong */
  leave(why: LeftOut, from: string, example: string): void {
    const id = JSON.stringify([why, from]);
    const known = this.#left.has(id) || this.#left.size < MOST_ROWS;
    const key = known ? id : JSON.stringify([why, REST]);
    const entry = this.#left.get(key) ?? { why, from: known ? from : REST, count: 0, example };
    entry.count += 1;
    this.#left.set(key, entry);
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
      leftOut: [...this.#left.values()].sort(byCount),
      undated,
    };
  }
}

export function placeText({ topic, partition, offset }: Letter['place']): string {
  return `${topic}-${partition}@${offset}`;
}

function sampleOf(letter: Letter): Sample {
  const { place, origin, tenant, reason, timestamp, message } = letter;
  const time = timestamp >= 0 && timestamp <= 8.64e15 ? new Date(timestamp).toISOString() : null;
  const entities = entityIds(letter).slice(0, 3);
  return {
    letter: placeText(place),
    from: origin.topic,
    tenant,
    reason,
    entities,
    time,
    message: clipped(message, MESSAGE),
  };
}

const columns = [
  { title: 'FROM' },
  { title: 'TENANT' },
  { title: 'REASON', shrinks: 'cut' as const },
  { title: 'LETTERS', align: 'right' as const },
];
const SHOWN_ROWS = 20;

/**
 * @param command what the user would type to send what the plan shows
 * @param kept what is to be known about what the topics keep, by line
 */
export function reportText(
  report: ReplayReport,
  command: string,
  kept: readonly string[],
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
      .slice(0, SHOWN_ROWS)
      .map(({ from, tenant, reason, count }) => [
        { text: printable(from) },
        { text: printable(tenant) },
        { text: printable(reason) },
        { text: grouped(count) },
      ]);
    lines.push('', ...table(columns, rows, width, style));
    if (counts.length > SHOWN_ROWS)
      lines.push(style.dim(`and ${counts.length - SHOWN_ROWS} kinds more: --json lists them`));
  }
  if (!applied && samples.length > 0) {
    lines.push('', 'Samples:');
    for (const { letter, entities, time, message } of samples) {
      const what = [letter, ...(time === null ? [] : [time]), entities.join(', ')].map(printable).join('  ');
      // Whole: what to do about it is at its end.
      lines.push(`  ${clipped(what, width - 2)}`);
      lines.push(...wrapped(printable(message), width - 4).map((line) => style.dim(`    ${line}`)));
    }
  }
  if (leftOut.length > 0) {
    lines.push('', 'Left where they are:');
    for (const entry of leftOut.slice(0, SHOWN_ROWS)) lines.push(`  ${grouped(entry.count)} ${whyText(entry)}`);
  }
  if (undated > 0) {
    lines.push(
      '',
      style.yellow(
        `${grouped(undated)} records for lastdata hold an entity without TimeInstant: nothing tells lastdata that they are old,`,
      ),
      style.yellow(
        'so each is put over whatever came later. Leave them out with --from, --tenant or --reason if that is wrong.',
      ),
    );
  }
  if (kept.length > 0) lines.push('', ...kept.map((line) => style.yellow(line)));
  if (!complete) lines.push('', 'interrupted: the same command goes on from here');
  else if (!applied && fit > 0) {
    const then = lateOf(destinations) > 0 ? 'When they are kept, this sends them' : 'This sends them';
    lines.push('', `Nothing was sent. ${then}: ${command}`);
  } else if (fit === 0) lines.push('', nothingText(report));
  else if (sent > 0) lines.push('', 'What is refused again comes back marked, and only --again sends it once more.');
  return `${lines.join('\n')}\n`;
}

/** Why there is nothing to send: a mistyped tenant or reason looks like a cure otherwise. */
function nothingText({ read, topic, name, leftOut }: ReplayReport): string {
  if (read === 0)
    return `Nothing to send: ${topic} holds no letter, or this replay (${name}) has been through all of them.`;
  if (leftOut.length > 0) return 'Nothing to send.';
  return `Nothing to send: none of them fits. kafnus replay plan without further options shows which tenants and reasons there are.`;
}

function whyText({ why, from, example }: ReplayReport['leftOut'][number]): string {
  const topic = printable(from);
  const where = printable(example);
  switch (why) {
    case 'foreign':
      return `are no dead letters, such as ${where}`;
    case 'came-back':
      return `from ${topic} were replayed before and refused again, such as ${where}: cure the cause, then add --again`;
    case 'no-value':
      return `from ${topic} were too large for a letter, such as ${where}`;
    case 'no-raw-topic':
      return (
        `from ${topic}, which is no raw topic: add --from ${topic} --to ${topic} to send them there` +
        (topic.includes('_lastdata') ? '; a sink puts an older row over a newer one, so look first' : '')
      );
  }
}

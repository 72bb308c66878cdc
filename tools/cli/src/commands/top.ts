import { setTimeout as sleep } from 'node:timers/promises';
import { exitCodes, UsageError, type Command, type Io } from '../command.js';
import { findingsOf } from '../lag/findings.js';
import { quitKey } from '../lag/keys.js';
import { LAG_OPTIONS_HELP, lagOptions, present, watchOf } from '../lag/options.js';
import type { KeySample, Snapshot } from '../lag/snapshot.js';
import { viewJson, viewLines } from '../lag/view.js';
import { parseOptions } from '../options.js';
import { Screen } from '../terminal/screen.js';
import { styleOf, wantsColours } from '../terminal/style.js';
import { quoted } from '../terminal/text.js';

const HELP = `Usage: kafnus top [options]

The agents, live: members, partitions, rates, the records that wait and the age of the oldest, and
what is wrong. q or Ctrl-C ends it. Without a terminal it prints a table for each look. docs/lag.md
lists what it finds and what to do then.

Options:
${LAG_OPTIONS_HELP}  --interval TIME      between two looks (default 2s)
  --once               one table, of two looks, and the end
  --json               print one JSON object a line, for each look
  --help

Exit codes: 0 ended by q or Ctrl-C; 1 failed; 2 called wrongly.

Examples:
  kafnus top --health localhost:9081,localhost:9082
  kafnus top --json --interval 10s >> agents.jsonl
`;

/** Keys change slowly. */
const SAMPLE_EVERY_MS = 30_000;
const MOST_PARTITIONS = 12;

/** `kafnus top`: looks at the agents again and again. */
export const command: Command = {
  help: HELP,
  async run(argv, io) {
    const { values, positionals } = parseOptions(
      argv,
      { ...lagOptions, once: { type: 'boolean', default: false } },
      true,
    );
    const [surplus] = positionals;
    if (surplus !== undefined) throw new UsageError(`unexpected argument ${quoted(surplus)}`);
    const watch = watchOf(values, '2s', io);
    const observer = await watch.open();
    const screen = new Screen(io.stdout);
    const style = styleOf(wantsColours(io.stdout, io.env));
    const isDrawn = screen.live && !values.json && !values.once;
    const keys = isDrawn ? quitKey(io) : undefined;
    let ended = false;
    const end = Promise.race([io.interrupted(), ...(keys === undefined ? [] : [keys.pressed])]).then(
      () => (ended = true),
    );
    try {
      let before: Snapshot | undefined;
      let samples: readonly KeySample[] = [];
      let sampled = -Infinity;
      while (!ended) {
        const now = present(await observer.look(samples), watch);
        const view = { before, now, findings: findingsOf(before, now, watch.limits) };
        if (values.json) {
          if (!values.once || before !== undefined) io.stdout.write(`${JSON.stringify(viewJson(view))}\n`);
        } else if (!values.once || before !== undefined) {
          const lines = (most: number): string[] => viewLines(view, most, screen.width, style);
          if (isDrawn) screen.draw([...fitted(lines, heightOf(io)), style.dim(footer(now, watch.intervalMs))]);
          else io.stdout.write(`${lines(MOST_PARTITIONS).join('\n')}\n\n`);
        }
        if (values.once && before !== undefined) break;
        before = now;
        if (now.at - sampled >= SAMPLE_EVERY_MS) [samples, sampled] = [await observer.sampleKeys(now), now.at];
        await Promise.race([sleep(Math.max(0, now.at + watch.intervalMs - Date.now())), end]);
      }
      return exitCodes.ok;
    } finally {
      keys?.stop();
      observer.close();
    }
  },
};

/** What is drawn anew must not be higher than the screen: partitions give way first, as the worst stand first. */
function fitted(lines: (most: number) => readonly string[], height: number): readonly string[] {
  const surplus = lines(MOST_PARTITIONS).length - height;
  return lines(Math.max(1, MOST_PARTITIONS - Math.max(0, surplus))).slice(0, height);
}

/** Lines between the top and the footer. */
function heightOf({ stdout }: Pick<Io, 'stdout'>): number {
  const rows = 'rows' in stdout && typeof stdout.rows === 'number' ? stdout.rows : 40;
  return Math.max(5, rows - 2);
}

function footer({ at }: Snapshot, intervalMs: number): string {
  return `${new Date(at).toISOString()}, every ${intervalMs / 1000} s; q ends it`;
}

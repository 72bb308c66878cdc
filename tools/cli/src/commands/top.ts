import { setTimeout as sleep } from 'node:timers/promises';
import { exitCodes, type Command, type Io } from '../command.js';
import { lagFindings } from '../lag/lag-findings.js';
import { quitKey } from '../lag/quit-key.js';
import { lagOptionsHelp, lagOptions, knownAgents, watchOptions } from '../lag/lag-options.js';
import type { KeySample, Snapshot } from '../lag/lag-snapshot.js';
import { lagJson, lagLines } from '../lag/lag-view.js';
import { parseOptions, requireNoArguments } from '../options.js';
import { Screen } from '../terminal/screen.js';
import { styleOf, wantsColours } from '../terminal/style.js';

const helpText = `Usage: kafnus top [options]

Shows live what kafnus lag shows: members, partitions, rates, lag, the age of the oldest unprocessed
record, and what is wrong. q or Ctrl-C ends it. Without a terminal it prints tables one after the
other. docs/lag.md lists all findings and what to do about them.

Options:
${lagOptionsHelp}  --interval TIME      between two snapshots (default 2s)
  --once               print one table, from two snapshots, and end
  --json               print one JSON object per line, for each snapshot
  --help

Exit codes: 0 ended by q or Ctrl-C; 1 failed; 2 wrong usage.

Examples:
  kafnus top --health localhost:9081,localhost:9082
  kafnus top --json --interval 10s >> agents.jsonl
`;

/** The distribution of keys changes slowly. */
const sampleEveryMs = 30_000;
const maxPartitions = 12;

export const command: Command = {
  help: helpText,
  async run(argv, io) {
    const { values, positionals } = parseOptions(
      argv,
      { ...lagOptions, once: { type: 'boolean', default: false } },
      true,
    );
    requireNoArguments(positionals);
    const watch = watchOptions(values, '2s', io);
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
        const now = knownAgents(await observer.snapshot(samples), watch);
        const view = { before, now, findings: lagFindings(before, now, watch.limits) };
        if (values.json) {
          if (!values.once || before !== undefined) io.stdout.write(`${JSON.stringify(lagJson(view))}\n`);
        } else if (!values.once || before !== undefined) {
          const lines = (most: number): string[] => lagLines(view, most, screen.width, style);
          if (isDrawn) screen.draw([...fitted(lines, heightOf(io)), style.dim(footer(now, watch.intervalMs))]);
          else io.stdout.write(`${lines(maxPartitions).join('\n')}\n\n`);
        }
        if (values.once && before !== undefined) break;
        before = now;
        if (now.at - sampled >= sampleEveryMs) [samples, sampled] = [await observer.sampleKeys(now), now.at];
        await Promise.race([sleep(Math.max(0, now.at + watch.intervalMs - Date.now())), end]);
      }
      return exitCodes.ok;
    } finally {
      keys?.stop();
      observer.close();
    }
  },
};

/**
 * At most `height` lines. When there are more, it shows fewer partitions: those with the greatest
 * lag come first.
 */
function fitted(lines: (most: number) => readonly string[], height: number): readonly string[] {
  const surplus = lines(maxPartitions).length - height;
  return lines(Math.max(1, maxPartitions - Math.max(0, surplus))).slice(0, height);
}

/** Lines between the top and the footer. */
function heightOf({ stdout }: Pick<Io, 'stdout'>): number {
  const rows = 'rows' in stdout && typeof stdout.rows === 'number' ? stdout.rows : 40;
  return Math.max(5, rows - 2);
}

function footer({ at }: Snapshot, intervalMs: number): string {
  return `${new Date(at).toISOString()}, every ${intervalMs / 1000} s; q to quit`;
}

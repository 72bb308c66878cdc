import { setTimeout as sleep } from 'node:timers/promises';
import { exitCodes, UsageError, type Command } from '../command.js';
import { findingsOf } from '../lag/findings.js';
import { LAG_OPTIONS_HELP, lagOptions, present, watchOf } from '../lag/options.js';
import { refusalHint, viewJson, viewLines } from '../lag/view.js';
import { parseOptions } from '../options.js';
import { Screen } from '../terminal/screen.js';
import { styleOf, wantsColours } from '../terminal/style.js';
import { quoted } from '../terminal/text.js';

const HELP = `Usage: kafnus lag [options]

How far the agents are behind, what flows, and what is wrong: members, partitions, rates, the
records that wait and the age of the oldest by its own timestamp. It looks twice, joins no group,
and moves nothing. docs/lag.md lists what it finds and what to do then; kafnus top is it live.

Options:
${LAG_OPTIONS_HELP}  --interval TIME      between the two looks (default 3s)
  --check              exit with 1 when something is wrong, for cron and probes
  --json               print one JSON object, with all partitions
  --help

Exit codes: 0 done, and with --check nothing is wrong; 1 failed, or with --check something is wrong;
2 called wrongly; 130 interrupted.

Examples:
  kafnus lag --health historic-0:8080,lastdata-0:8080
  kafnus lag --check --max-lag 10000 --agent historic > /dev/null || page-somebody
`;

const MOST_PARTITIONS = 20;

/** `kafnus lag`: one look at the agents. */
export const command: Command = {
  help: HELP,
  async run(argv, io) {
    const { values, positionals } = parseOptions(
      argv,
      { ...lagOptions, check: { type: 'boolean', default: false } },
      true,
    );
    const [surplus] = positionals;
    if (surplus !== undefined) throw new UsageError(`unexpected argument ${quoted(surplus)}`);
    const watch = watchOf(values, '3s', io);
    const interrupted = io.interrupted().then(() => 'interrupted' as const);
    const observer = await watch.open();
    try {
      const before = await observer.look();
      const keys = await observer.sampleKeys(before);
      const left = Math.max(0, before.at + watch.intervalMs - Date.now());
      if ((await Promise.race([sleep(left), interrupted])) === 'interrupted') return exitCodes.interrupted;
      const now = present(await observer.look(keys), watch);
      const findings = findingsOf(before, now, watch.limits);
      const view = { before, now, findings };
      const screen = new Screen(io.stdout);
      const style = styleOf(wantsColours(io.stdout, io.env));
      if (values.json) io.stdout.write(`${JSON.stringify(viewJson(view))}\n`);
      else {
        const hint = refusalHint(now);
        const lines = viewLines(view, MOST_PARTITIONS, screen.width, style);
        io.stdout.write(`${[...lines, ...(hint === undefined ? [] : [style.dim(hint)])].join('\n')}\n`);
      }
      return values.check && findings.length > 0 ? exitCodes.failure : exitCodes.ok;
    } finally {
      observer.close();
    }
  },
};

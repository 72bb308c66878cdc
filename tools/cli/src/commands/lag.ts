import { setTimeout as sleep } from 'node:timers/promises';
import { exitCodes, type Command } from '../command.js';
import { lagFindings } from '../lag/lag-findings.js';
import { lagOptionsHelp, lagOptions, knownAgents, watchOptions } from '../lag/lag-options.js';
import { rejectsHint, lagJson, lagLines } from '../lag/lag-view.js';
import { parseOptions, requireNoArguments } from '../options.js';
import { Screen } from '../terminal/screen.js';
import { styleOf, wantsColours } from '../terminal/style.js';

const helpText = `Usage: kafnus lag [options]

Shows members, partitions, rates, lag and the age of the oldest unprocessed record of the agents,
and what is wrong. It takes two snapshots, joins no group and commits nothing. docs/lag.md lists all
findings and what to do about them; kafnus top shows the same live.

Options:
${lagOptionsHelp}  --interval TIME      between the two snapshots (default 3s)
  --check              exit with 1 when there is a finding, for cron and probes
  --json               print one JSON object, with all partitions
  --help

Exit codes: 0 done, and with --check no finding; 1 failed, or with --check a finding; 2 wrong usage;
130 interrupted.

Examples:
  kafnus lag --health historic-0:8080,lastdata-0:8080
  kafnus lag --check --max-lag 10000 --agent historic > /dev/null || page-somebody
`;

const maxPartitions = 20;

export const command: Command = {
  help: helpText,
  async run(argv, io) {
    const { values, positionals } = parseOptions(
      argv,
      { ...lagOptions, check: { type: 'boolean', default: false } },
      true,
    );
    requireNoArguments(positionals);
    const watch = watchOptions(values, '3s', io);
    const interrupted = io.interrupted().then(() => 'interrupted' as const);
    const observer = await watch.open();
    try {
      const before = await observer.snapshot();
      const keys = await observer.sampleKeys(before);
      const left = Math.max(0, before.at + watch.intervalMs - Date.now());
      if ((await Promise.race([sleep(left), interrupted])) === 'interrupted') return exitCodes.interrupted;
      const now = knownAgents(await observer.snapshot(keys), watch);
      const findings = lagFindings(before, now, watch.limits);
      const view = { before, now, findings };
      const screen = new Screen(io.stdout);
      const style = styleOf(wantsColours(io.stdout, io.env));
      if (values.json) io.stdout.write(`${JSON.stringify(lagJson(view))}\n`);
      else {
        const hint = rejectsHint(now);
        const lines = lagLines(view, maxPartitions, screen.width, style);
        io.stdout.write(`${[...lines, ...(hint === undefined ? [] : [style.dim(hint)])].join('\n')}\n`);
      }
      return values.check && findings.length > 0 ? exitCodes.failure : exitCodes.ok;
    } finally {
      observer.close();
    }
  },
};

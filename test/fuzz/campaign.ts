/**
 * Bursts to one agent after the other, for a while; what is found is narrowed down and written to
 * a file.
 */
import { fileURLToPath } from 'node:url';
import { startLocalKafka, type LocalKafka } from '@kafnus/local-stack';
import type { AgentName } from '../faults/harness/workload.js';
import type { Finding, FindingKind } from './checks.js';
import { burst, type FuzzRecord } from './generator.js';
import { narrowed } from './narrow.js';
import type { Delivery } from './options.js';
import { writeFound } from './record-file.js';
import { Target } from './target.js';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const progressMs = 10_000;

/** The broker of a fuzz run: data of any time stays, in few and small files. */
export function startFuzzKafka(): Promise<LocalKafka> {
  const forever = String(2n ** 63n - 1n);
  return startLocalKafka({
    properties: {
      'log.retention.ms': '-1',
      'log.roll.ms': forever,
      'log.segment.bytes': String(64 << 20),
      'log.retention.bytes': String(256 << 20),
      'log.retention.check.interval.ms': '30000',
    },
  });
}

/** One agent in one delivery mode. */
export interface Leg {
  readonly kafka: LocalKafka;
  readonly agent: AgentName;
  readonly delivery: Delivery;
  readonly seed: number;
  readonly size: number;
  readonly withinMs: number;
  /** The first burst, and whether there is another one after so many. */
  readonly goOn: (bursts: number) => boolean;
  /** How long a finding may be narrowed down, in ms. */
  readonly narrowMs: number;
  readonly say: (line: string) => void;
  /** Instead of what is generated: one burst of these. */
  readonly records?: readonly FuzzRecord[];
}

export interface LegResult {
  readonly bursts: number;
  readonly records: number;
  readonly peakMiB: number;
  readonly slowestAnswerMs: number;
  /** What was found, in words. */
  readonly findings: readonly string[];
}

/** After so many the agent is beyond help. */
const mostFindings = 5;

export async function runLeg(leg: Leg): Promise<LegResult> {
  const { agent, delivery, seed, size, say } = leg;
  const result = { bursts: 0, records: 0, peakMiB: 0, slowestAnswerMs: 0, findings: [] as string[] };
  let target = await Target.start(leg);
  const note = (): void => {
    if (target.process.end === undefined) result.peakMiB = Math.max(result.peakMiB, Math.round(target.peakMiB));
    result.slowestAnswerMs = Math.max(result.slowestAnswerMs, Math.round(target.slowestAnswerMs));
  };
  try {
    const started = Date.now();
    let told = started;
    while (leg.goOn(result.bursts) && result.findings.length < mostFindings) {
      const index = result.bursts;
      const records = leg.records ?? burst(agent, seed, index, size);
      const findings = await target.send(records);
      result.bursts += 1;
      result.records += records.length;
      note();
      if (findings.length > 0) {
        await target.end();
        const text = await explained(leg, index, records, findings);
        result.findings.push(text);
        say(`FINDING ${text}`);
        target = await Target.start(leg);
      }
      if (Date.now() - told < progressMs) continue;
      told = Date.now();
      say(progress(leg, result, told - started));
    }
    const last = await target.stop();
    for (const { detail } of last) result.findings.push(`${agent} ${delivery}: ${detail}`);
    say(progress(leg, result, Date.now() - started));
    return result;
  } finally {
    await target.end();
  }
}

function progress(
  { agent, delivery }: Leg,
  { bursts, records, peakMiB, slowestAnswerMs, findings }: LegResult,
  ms: number,
): string {
  const rate = Math.round((records * 1000) / Math.max(1, ms));
  return (
    `${agent.padEnd(8)} ${delivery}  ${(ms / 1000).toFixed(0).padStart(4)} s  bursts ${bursts}  records ${records} (${rate}/s)  ` +
    `peak ${peakMiB} MiB  slowest answer ${slowestAnswerMs} ms  findings ${findings.length}`
  );
}

/**
 * One record may end the process and another one hang it: both stop it, and whichever comes first
 * is seen.
 */
function stops(kinds: Iterable<FindingKind>): boolean {
  return [...kinds].some((kind) => kind === 'ended' || kind === 'silent');
}

/** Narrows a finding down, writes it to a file, and says how to see it again. */
async function explained(
  leg: Leg,
  index: number,
  records: readonly FuzzRecord[],
  findings: readonly Finding[],
): Promise<string> {
  const { agent, delivery, seed, say } = leg;
  const kinds = new Set(findings.map(({ kind }) => kind));
  say(`${agent} ${delivery}: ${[...kinds].join(', ')} in burst ${index}; looking for the record`);
  const deadline = Date.now() + leg.narrowMs;
  let again = findings;
  const bad = async (some: readonly FuzzRecord[]): Promise<boolean> => {
    const target = await Target.start(leg);
    try {
      const found = (await target.send(some)).filter(({ kind }) => kinds.has(kind) || (stops(kinds) && stops([kind])));
      if (found.length > 0) again = found;
      return found.length > 0;
    } finally {
      await target.end();
    }
  };
  const few = await narrowed(records, bad, () => Date.now() < deadline);
  const unseen = findings.filter(({ kind }) => !again.some((each) => each.kind === kind));
  const file = `.cache/fuzz/${agent}-${delivery}-${seed}-${index}.json`;
  writeFound(`${repository}${file}`, { agent, delivery, seed, burst: index, findings: again, records: few });
  const names = [...new Set(few.map(({ name }) => name))].slice(0, 5).join('; ');
  return [
    `${agent} ${delivery}, seed ${seed}, burst ${index}: ${few.length} of ${records.length} records (${names})`,
    ...again.slice(0, 5).map(({ kind, detail }) => `  ${kind}: ${detail}`),
    ...unseen.slice(0, 5).map(({ kind, detail }) => `  ${kind}, not seen again: ${detail}`),
    `  to see it again: make fuzz ARGS="--replay ${file}"`,
  ].join('\n');
}

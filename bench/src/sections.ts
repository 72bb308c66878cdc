/** Runs the selected sections and prints their results. */
import { startLocalKafka, type LocalKafka } from '@kafnus/local-stack';
import { growthTables, measureGrowth } from './growth/growth.js';
import { describeMachine, machineLine } from './machine.js';
import type { Options, Section } from './options.js';
import { latencyTable, measureLatency } from './pipeline/latency.js';
import { measurePipeline, pipelineTables } from './pipeline/throughput.js';
import { measurePeers, peersTable } from './peers/peers.js';
import { drawResults } from './plot.js';
import { progress } from './progress.js';
import { measurePostgis, postgisTable } from './postgis/postgis.js';
import { measurePure, pureTable } from './pure/pure.js';
import { measureRestore, restoreTable } from './restore/restore.js';
import { writeResult, type Results } from './results.js';
import { targetRows, targetTable } from './targets.js';

/** The result of a section, as data and as text. */
interface Finding {
  readonly results: Results;
  readonly text: string;
}

const runs: Readonly<Record<Section, (options: Options) => Promise<Finding>>> = {
  async pipeline(options) {
    const pipeline = await withKafka((kafka) => measurePipeline(kafka, options));
    return { results: { pipeline }, text: pipelineTables(pipeline) };
  },
  async peers(options) {
    const peers = await withKafka((kafka) => measurePeers(kafka, options));
    return { results: { peers }, text: peersTable(peers) };
  },
  async latency(options) {
    const latency = await withKafka((kafka) => measureLatency(kafka, options));
    return { results: { latency }, text: latencyTable(latency) };
  },
  async restore(options) {
    const restore = await withKafka((kafka) => measureRestore(kafka, options));
    return { results: { restore }, text: restoreTable(restore) };
  },
  async growth(options) {
    const growth = await withKafka((kafka) => measureGrowth(kafka, options));
    return { results: { growth }, text: growthTables(growth) };
  },
  async postgis(options) {
    const postgis = await withKafka((kafka) => measurePostgis(kafka, options));
    return { results: { postgis }, text: postgisTable(postgis) };
  },
  async pure() {
    const pure = await measurePure();
    return { results: { pure }, text: pureTable(pure) };
  },
};

/**
 * @returns whether every section came to its end; a section that fails does not keep the others
 * from theirs
 */
export async function runSections(options: Options): Promise<boolean> {
  const machine = describeMachine();
  progress(machineLine(machine));
  let results: Results = {};
  const texts: string[] = [];
  const started = performance.now();
  for (const [place, section] of options.sections.entries()) {
    const minutes = (performance.now() - started) / 60_000;
    progress(`--- ${section}, ${place + 1} of ${options.sections.length} sections, ${minutes.toFixed(1)} min so far`);
    try {
      const found = await runs[section](options);
      results = { ...results, ...found.results };
      texts.push(found.text);
      // `--quick` does not overwrite stored results.
      const result = found.results[section];
      if (!options.quick && result !== undefined) writeResult(section, machine, result);
    } catch (error) {
      progress(`${section} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      texts.push(`${section} failed, see above\n`);
    }
  }
  if (!options.quick) drawResults(machine, results);
  const targets = targetRows(results, machine);
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ machine, results, targets }, null, 2)}\n`
      : [machineLine(machine), ...texts, targetTable(targets)].join('\n\n'),
  );
  return Object.keys(results).length === options.sections.length;
}

/** Starts a new Kafka for each section, without data of other sections. */
async function withKafka<T>(work: (kafka: LocalKafka) => Promise<T>): Promise<T> {
  const kafka = await startLocalKafka({ fullJit: true, heap: '1g' });
  try {
    return await work(kafka);
  } finally {
    await kafka.stop();
  }
}

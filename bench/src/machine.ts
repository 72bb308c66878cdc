/** The machine on which figures were measured, without names and paths. */
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { RdKafka } from '@confluentinc/kafka-javascript';
import { KAFKA_VERSION } from '@kafnus/local-stack';

export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly librdkafka: string;
  readonly kafka: string;
  /** The load average of the minute before the start. Above 0.5, other programs were running. */
  readonly loadBefore: number;
}

export function describeMachine(): Machine {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release().split('-')[0] ?? '',
    node: process.version,
    librdkafka: RdKafka.librdkafkaVersion,
    kafka: KAFKA_VERSION,
    loadBefore: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  };
}

export function machineLine(machine: Machine): string {
  const { cores, cpu, memoryGiB, kernel, node, librdkafka, kafka, loadBefore } = machine;
  const busy =
    loadBefore > 0.5 ? `; load ${loadBefore} before the start: others are at work, figures are indicative` : '';
  return `${cores} cores (${cpu}), ${memoryGiB} GiB, Linux ${kernel}, Node.js ${node}, librdkafka ${librdkafka}, Kafka ${kafka}${busy}`;
}

/** The peers of the historic agent. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createTopics } from '@kafnus/local-stack';
import { outputTopic, type Contender } from '../contender.js';
import { tenantName } from '../notification.js';
import { startProgram } from './command.js';
import type { StreamsApplication } from './kafka-streams.js';

const passThroughScript = fileURLToPath(new URL('pass-through.js', import.meta.url));

/** The client's transactional loop without any work: see pass-through.ts. */
export const passThrough: Contender = {
  name: 'pass-through',
  async prepare({ brokers, run, partitions }) {
    await createTopics(brokers, [{ topic: outputTopic(run, tenantName(0)), partitions }]);
  },
  start: ({ brokers, inputTopic, run }) =>
    startProgram(
      process.execPath,
      [passThroughScript, brokers, inputTopic, outputTopic(run, tenantName(0)), run],
      true,
    ),
};

/** The same transformation as a Kafka Streams application. */
export function kafkaStreams({ java, classPath }: StreamsApplication): Contender {
  return {
    name: 'Kafka Streams',
    async prepare({ brokers, run, partitions }) {
      await createTopics(brokers, [{ topic: outputTopic(run, tenantName(0)), partitions }]);
    },
    start({ brokers, inputTopic, run }) {
      const scratch = mkdtempSync(join(tmpdir(), 'kafnus-bench-'));
      const jvm = ['-Xmx512m', `-Djava.io.tmpdir=${scratch}`, '-cp', classPath];
      const running = startProgram(java, [...jvm, 'kafnus.bench.Historic', brokers, inputTopic, run]);
      return {
        ...running,
        async stop() {
          await running.stop();
          rmSync(scratch, { recursive: true, force: true });
        },
      };
    },
  };
}

import { whyNoConnectWorker } from '@kafnus/local-stack';
import { whyNoLocalPostgis } from '@kafnus/local-stack';
import { unless, type Describe } from './with-kafka.js';

/**
 * A `describe` for suites that need PostGIS, and Java for Kafka and Kafka Connect; where one of
 * them is missing, the same as for {@link withKafka} holds.
 */
export function withPostgis(describe: Describe): (name: string, suite: () => void) => void {
  return unless(() => whyNoLocalPostgis() ?? whyNoConnectWorker(), describe);
}

import { whyNoConnectWorker } from '@kafnus/local-stack';
import { whyNoLocalPostgis } from '@kafnus/local-stack';
import { unless, type Describe } from './with-kafka.js';

/**
 * A `describe` for suites that need PostGIS, and Java for Kafka and Kafka Connect; see {@link
 * withKafka}.
 */
export function withPostgis(describe: Describe): (name: string, suite: () => void) => void {
  return unless(() => whyNoLocalPostgis() ?? whyNoConnectWorker(), describe);
}

/**
 * Generates docs/metrics.md: every metric of an agent, and every value of the labels `reason` and
 * `code`.
 */
import { createRequire } from 'node:module';
import { createMetrics, metricsReference } from '../../libs/agent-runtime/dist/metrics.js';
import { attributeCodes, rejectCodes, skipReasons } from '../../libs/ngsi-core/dist/index.js';
import { runtimeCodes } from './errors-page.mjs';
import { code, table } from './markdown.mjs';

const { Registry } = createRequire(new URL('../../libs/agent-runtime/package.json', import.meta.url))('prom-client');

export async function metricsPage() {
  const own = metricsReference.map(({ name, type, labels, help }) => [
    code(name),
    type,
    labels
      .filter((label) => label !== 'agent')
      .map(code)
      .join(', '),
    help,
  ]);
  return `<!-- Written by \`make docs\` from libs/agent-runtime/src/metrics.ts and libs/ngsi-core/src/codes.ts. -->

# Metrics

What \`GET /metrics\` of an agent answers, in the text format of Prometheus. Every metric has the label \`agent\`
(\`historic\`, \`lastdata\`, \`mutable\`, \`errors\`) besides those named here. [monitoring.md](monitoring.md) says how to
scrape and what to watch.

Counters of records move when their transaction is committed: what is aborted is read again, and counted once. They start at 0
with each process. The label \`tenant\` is the fiware-service; tenants beyond \`KAFNUS_MAX_TENANT_LABELS\` share \`_other\`,
because names come from outside and every one is a new series.

${table(['metric', 'type', 'labels', 'meaning'], own)}

A histogram has the series \`_bucket\` (with \`le\`, in seconds), \`_sum\` and \`_count\`.

## Values of \`reason\` and \`code\`

What each means, and what to do about it, is in [errors.md](errors.md).

- Records rejected (\`kafnus_records_rejected_total\`), and entities refused (\`kafnus_reports_total\`): ${names({ ...rejectCodes, ...runtimeCodes })}.
- Attributes refused (\`kafnus_reports_total\`), or records of which one was, with \`attributeErrors = reject\`: ${names(attributeCodes)}.
- Records and entities skipped on purpose (\`kafnus_records_skipped_total\`, \`kafnus_parts_skipped_total\`): ${names(skipReasons)}.

\`cause\` is the name of librdkafka's error in small letters (\`timed_out\`, \`fenced\`), \`transaction_timeout\` where the coordinator
has aborted a transaction that was too old, or \`requested\` where the agent itself
gave the transaction up. \`kind\` is \`assigned\`, \`revoked\` or \`lost\`.

## The process

Of Node.js and the operating system, as prom-client has them:

${table(['metric', 'type', 'meaning'], await processMetrics())}
`;
}

async function processMetrics() {
  const registry = new Registry();
  createMetrics(registry, 'any', true);
  const all = await registry.getMetricsAsJSON();
  const own = new Set(metricsReference.map(({ name }) => name));
  return all.filter(({ name }) => !own.has(name)).map(({ name, type, help }) => [code(name), type, help]);
}

const names = (codes) => Object.keys(codes).map(code).join(', ');

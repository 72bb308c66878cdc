/**
 * The safeguards of the delivery guarantee: each mutation removes one, and names the tests that
 * must fail.
 *
 * - `breaks`: what goes wrong in production without the safeguard.
 * - `edits`: in `file`; each `find` must occur exactly once. There are several when a safeguard is
 *   in several places.
 * - `tests`: all of them must fail. Prefer a test in memory or on librdkafka's mock cluster, which
 *   takes seconds; use a real Kafka for broker behavior.
 *
 * @typedef {{ project: string, file: string, name: string }} TestName project is Jest's display
 * name, name the full name
 * @typedef {{ name: string, breaks: string, file: string, edits: { find: string, replace: string
 * }[], tests: TestName[] }} Mutation
 */
import { aborts } from './areas/aborts.mjs';
import { logs } from './areas/logs.mjs';
import { readingWriting } from './areas/reading-writing.mjs';
import { recovery } from './areas/recovery.mjs';
import { rekeying } from './areas/rekeying.mjs';
import { resources } from './areas/resources.mjs';
import { service } from './areas/service.mjs';
import { tenants } from './areas/tenants.mjs';

export { controls } from './tests.mjs';

/** @type {readonly Mutation[]} */
export const mutations = [
  ...logs,
  ...tenants,
  ...aborts,
  ...resources,
  ...recovery,
  ...readingWriting,
  ...rekeying,
  ...service,
];

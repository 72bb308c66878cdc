export * from './agent.js';
export {
  ConfigurationError,
  helpText,
  loadConfig,
  settingsOf,
  settingsReference,
  runtimeSettings,
  type RuntimeConfig,
} from './config.js';
export { jsonErrorOffset, lineAndColumn } from './config/json-position.js';
export { deadLetter } from './dead-letter.js';
export { guardDecision, unknownTenant } from './decision-guard.js';
export { Ledger, LedgerBatch } from './ledger.js';
export * from './lifecycle.js';
export { start } from './main.js';
export { AgentLoop, type RunOptions } from './run.js';
export * from './session.js';
export { changelogTopic, parseChangelogValue } from './state/changelog.js';
export { PartitionStore } from './state/partition-store.js';
export * from './status.js';
export { metricsReference, Telemetry } from './telemetry.js';
export { startTracing, type Tracing, type TracingOptions } from './tracing.js';
export { KafkaSession, type KafkaSessionOptions, type SessionListener } from './kafka/kafka-session.js';
export { connectionProperties, losslessProducer } from './kafka/client-config.js';
export { asKafkaError } from './kafka/errors.js';
export { call, kafka, type KafkaError } from './kafka/client.js';
export { ownHeaders } from './kafka/own-headers.js';
export { topicsOptions, topicsSummary } from './topics/command.js';
export { topicSettings, type AgentTopics } from './topics/plan.js';
export { topicsJson, topicsText } from './topics/report.js';
export { runTopics, topicActions, type TopicAction } from './topics/run.js';
export type { GroupAnswer } from './wire/group-answers.js';
export { describeGroups } from './wire/groups.js';
export { version } from './version.js';

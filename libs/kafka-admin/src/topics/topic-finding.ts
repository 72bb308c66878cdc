/** What is said about topics: a closed vocabulary, so that scripts can tell findings apart. */
import type { Finding } from '../finding.js';

/** Every code, with what it means. docs/operations.md lists the same ones. */
export const findingCodes = {
  'topic-missing': 'the topic does not exist',
  'topic-hidden': 'the user may not see the topic',
  'right-missing': 'the user lacks a right on the topic that the agent needs',
  'config-unread': 'the configuration could not be read',
  'partitions-few': 'more instances than partitions: some get nothing to do',
  'partitions-differ': 'another number of partitions than is set',
  'not-copartitioned': 'the changelog has another number of partitions than its input',
  'replication-low': 'fewer replicas than planned, or a single one on a cluster of several brokers',
  'min-isr-low': 'a write counts before enough replicas have it',
  'min-isr-high': 'writes stop when one broker is down, or at once',
  'unclean-election': 'a replica that is behind may become the leader: committed records are lost',
  'partition-offline': 'a partition has no leader',
  'partition-behind': 'a partition has replicas that are behind or gone',
  'cleanup-policy': 'records are kept in a way that loses some',
  'retention-short': 'records are deleted too soon',
  'retention-bytes': 'records are deleted by size, whether read or not',
  'segments-large': 'a restore reads more than it must',
  'message-size': 'records that the agent may write are too large for the topic',
  'timestamp-type': 'the broker overwrites the time of records',
  'timestamp-limit': 'the broker refuses records that are too old, or too far ahead of its clock',
} as const;

export type TopicFindingCode = keyof typeof findingCodes;

/** A configuration that would be right. */
export interface Fix {
  readonly setting: string;
  readonly value: string;
}

/** A finding about a topic. */
export interface TopicFinding extends Finding<TopicFindingCode> {
  readonly topic: string;
  /** What `apply --update-config` sets. */
  readonly fix?: Fix;
}

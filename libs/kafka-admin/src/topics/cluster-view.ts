/** The topics and groups of a cluster, as far as the user may see them. */

/** What can be allowed on a topic and is asked for here, by the names of Kafka's ACLs. */
export type TopicRight = 'Read' | 'Write' | 'Describe' | 'DescribeConfigs' | 'AlterConfigs';

export interface PartitionView {
  readonly partition: number;
  readonly hasLeader: boolean;
  readonly replicas: number;
  /** Replicas that have all records, the leader's included. */
  readonly inSync: number;
}

/** A topic's configuration, defaults included; or why it is not known. */
export type ConfigView =
  | { readonly kind: 'known'; readonly values: ReadonlyMap<string, string> }
  | { readonly kind: 'unknown'; readonly reason: string };

export type TopicView =
  | { readonly kind: 'missing' }
  /** The user lacks the right Describe: it may exist or not. */
  | { readonly kind: 'hidden' }
  | {
      readonly kind: 'there';
      /** By number, without a gap. */
      readonly partitions: readonly PartitionView[];
      /** undefined: the cluster does not tell, as without an authorizer. */
      readonly rights: ReadonlySet<TopicRight> | undefined;
      readonly config: ConfigView;
    };

export interface ClusterView {
  /** Brokers that are up. */
  readonly brokers: number;
  /** The brokers' default.replication.factor; undefined when the user may not read it. */
  readonly defaultReplication: number | undefined;
  /** The topics that were asked for. */
  readonly topics: ReadonlyMap<string, TopicView>;
  /** Living members by consumer group; without an entry the user may not know. */
  readonly members: ReadonlyMap<string, number>;
}

/** The view of a topic that was asked for. */
export function topicIn(view: ClusterView, name: string): TopicView {
  return view.topics.get(name) ?? { kind: 'missing' };
}

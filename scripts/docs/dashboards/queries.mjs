/** The queries, limits and variables that the dashboards share. */
import { labelVariable } from '../grafana.mjs';

export const namespace = labelVariable('namespace', 'kafnus_build_info');

/**
 * A rate over Grafana's `$__rate_interval`. `by` is a list of labels, to which the namespace is
 * added.
 */
export const rate = (metric, selector, by) =>
  `sum by (${['namespace', ...by].join(', ')}) (rate(${metric}{${selector}}[$__rate_interval]))`;

/** The ratio of two rates; no value when nothing is read. */
export const share = (part, whole, selector, by) => `${rate(part, selector, by)} / (${rate(whole, selector, by)} > 0)`;

export const quantile = (q, metric, selector, by) =>
  `histogram_quantile(${q}, ${rate(`${metric}_bucket`, selector, [...by, 'le'])})`;

/** In a rebalance two processes may tell the lag of one partition for a moment: it counts once. */
export const lag = (selector, by) =>
  `sum by (${['namespace', ...by].join(', ')}) (max by (namespace, agent, topic, partition) (kafnus_consumer_lag{${selector}}))`;

export const late = { warning: 300, critical: 3600 };

export const perAgent = '{{agent}} {{namespace}}';
export const all = 'namespace=~"$namespace"';

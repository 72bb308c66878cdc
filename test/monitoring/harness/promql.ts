/** The names in a PromQL query. Prometheus validates the query itself. */

/**
 * The selectors of the project's metrics and recording rules, with matchers:
 * `kafnus_consumer_lag{agent="x"}`.
 */
export function selectorsOf(expr: string): readonly string[] {
  return [...new Set(expr.match(/\b(?:\w+:)?kafnus_\w+(?::\w+)?(?:\{[^}]*\})?/g) ?? [])];
}

/** The labels by which the query groups or matches. */
export function groupingLabelsOf(expr: string): readonly string[] {
  const lists = [...expr.matchAll(/\b(?:by|on|without|ignoring|group_left|group_right) *\(([^)]*)\)/g)];
  return [...new Set(lists.flatMap(([, list = '']) => list.split(',').map((label) => label.trim())))].filter(Boolean);
}

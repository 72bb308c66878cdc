/** Statistics of the benchmarks. */

/** @throws RangeError when there are no values */
export function mean(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('no values');
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * The harmonic mean: the speed over equally long parts. @throws RangeError when there are no values
 */
export function harmonicMean(values: readonly number[]): number {
  return 1 / mean(values.map((value) => 1 / value));
}

/** @throws RangeError when there are no values */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/**
 * The value below which a part of the values lies, between neighbours in proportion. @throws
 * RangeError when there are none
 */
export function quantile(values: readonly number[], part: number): number {
  const sorted = Float64Array.from(values).sort();
  const place = (sorted.length - 1) * part;
  const below = sorted[Math.floor(place)];
  const above = sorted[Math.ceil(place)];
  if (below === undefined || above === undefined) throw new RangeError('no values');
  return below + (above - below) * (place - Math.floor(place));
}

/** Rounds to this number of significant digits. */
export function rounded(value: number, digits = 4): number {
  return Number(value.toPrecision(digits));
}

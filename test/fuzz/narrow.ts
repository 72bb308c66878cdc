/** From a burst to the record that matters, by halving. */

/**
 * The fewest records that halving leaves.
 * @param bad whether these still bring the finding
 * @param mayGoOn false when the time for it is over: what is left then is returned
 */
export async function narrowed<T>(
  records: readonly T[],
  bad: (some: readonly T[]) => Promise<boolean>,
  mayGoOn: () => boolean = () => true,
): Promise<readonly T[]> {
  let left = records;
  while (left.length > 1) {
    const middle = left.length >> 1;
    const halves = [left.slice(0, middle), left.slice(middle)];
    let next: readonly T[] | undefined;
    for (const half of halves) {
      if (!mayGoOn()) return left;
      if (await bad(half)) {
        next = half;
        break;
      }
    }
    // It takes records of both halves.
    if (next === undefined) return left;
    left = next;
  }
  return left;
}

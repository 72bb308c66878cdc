/**
 * `; did you mean x?` for the known name that is nearest to the given one, when at most a third of
 * its characters differ; else ''. Names are compared without case, dashes, dots and underscores:
 * most mistakes are made there.
 */
export function suggestion(given: string, known: Iterable<string>): string {
  const plain = (name: string): string => name.toLowerCase().replace(/[-_.]/g, '');
  const wanted = plain(given);
  let best: string | undefined;
  let fewest = Math.floor(wanted.length / 3) + 1;
  for (const name of known) {
    const edits = editDistance(wanted, plain(name));
    if (edits < fewest) [best, fewest] = [name, edits];
  }
  return best === undefined ? '' : `; did you mean ${best}?`;
}

/**
 * The optimal string alignment distance: insertions, deletions, substitutions and swaps of
 * neighbours.
 */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? (before[j - 2] ?? 0) + 1 : Infinity;
      next.push(Math.min(replaced, swapped, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    [before, row] = [row, next];
  }
  return row[b.length] ?? 0;
}

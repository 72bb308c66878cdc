import { readFileSync } from 'node:fs';

/** The last lines of each log that is there: what a program said before it failed. */
export function lastLines(files: readonly string[]): string {
  return files
    .flatMap((file) => {
      try {
        return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-25);
      } catch {
        // A program that did not come far has no log.
        return [];
      }
    })
    .join('\n');
}

/** What a check reports: one vocabulary of levels for all of them. */

/**
 * error: something does not work, or records are lost. warning: they may be, or it works badly.
 * note: good to know.
 */
export const findingLevels = ['error', 'warning', 'note'] as const;
export type FindingLevel = (typeof findingLevels)[number];

/** Something that a person should know, and what to do about it. */
export interface Finding<Code extends string = string> {
  readonly level: FindingLevel;
  readonly code: Code;
  /** What is wrong, with the values that were found. */
  readonly message: string;
  /** What to do. */
  readonly advice: string;
}

/** The worst first, then by subject. */
export function sortedFindings<F extends Finding>(findings: readonly F[], subject: (finding: F) => string): F[] {
  const place = (finding: F): string => `${findingLevels.indexOf(finding.level)} ${subject(finding)}`;
  return [...findings].sort((a, b) => (place(a) < place(b) ? -1 : place(a) > place(b) ? 1 : 0));
}

/** `2 errors`, `1 note`: without the levels that nothing has. */
export function levelCounts(findings: readonly Finding[]): string[] {
  return findingLevels.flatMap((level) => {
    const count = findings.filter((finding) => finding.level === level).length;
    return count === 0 ? [] : [`${count} ${level}${count === 1 ? '' : 's'}`];
  });
}

/** Whether nothing is an error. */
export function hasNoErrors(findings: readonly Finding[]): boolean {
  return findings.every(({ level }) => level !== 'error');
}

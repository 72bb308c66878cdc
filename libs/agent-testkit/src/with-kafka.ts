import { whyNoLocalKafka } from '@kafnus/local-stack';

/** The part of a test framework's `describe` that is used here. */
export interface Describe {
  (name: string, suite: () => void): void;
  readonly skip: (name: string, suite: () => void) => void;
}

/**
 * A `describe` for suites that need Java. Without Java they are skipped, and their name says why;
 * under CI=true they run and fail, so that a build without tests does not pass.
 */
export function withKafka(describe: Describe): (name: string, suite: () => void) => void {
  return unless(whyNoLocalKafka, describe);
}

/** The same for other requirements. @param whyNot why one is not met; undefined when all are */
export function unless(
  whyNot: () => string | undefined,
  describe: Describe,
): (name: string, suite: () => void) => void {
  return (name, suite) => {
    const reason = whyNot();
    if (reason === undefined || process.env['CI'] === 'true') describe(name, suite);
    else describe.skip(`${name} [skipped: ${reason}]`, suite);
  };
}

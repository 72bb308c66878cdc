/**
 * The fuzz run of `make fuzz`, which is no test of `make test`: that has a short one of its own,
 * test/integration/fuzz.test.ts.
 */
import { fileURLToPath } from 'node:url';
import root from '../../jest.config.js';

export default {
  ...root.projects.find(({ displayName }) => displayName === 'faults'),
  rootDir: fileURLToPath(new URL('../..', import.meta.url)),
  testMatch: ['<rootDir>/test/fuzz/fuzz.test.ts'],
  reporters: ['<rootDir>/test/fuzz/reporter.mjs'],
};

/** Runs the soak test with the configuration of the fault tests, in a separate run. */
import { fileURLToPath } from 'node:url';
import root from '../../jest.config.js';

export default {
  ...root.projects.find(({ displayName }) => displayName === 'faults'),
  rootDir: fileURLToPath(new URL('../..', import.meta.url)),
  testMatch: ['<rootDir>/test/soak/soak.test.ts'],
  reporters: ['<rootDir>/test/soak/reporter.mjs'],
};

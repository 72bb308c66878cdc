/** The soak test, run as the fault tests are, but never together with them. */
import { fileURLToPath } from 'node:url';
import root from '../../jest.config.js';

export default {
  ...root.projects.find(({ displayName }) => displayName === 'faults'),
  rootDir: fileURLToPath(new URL('../..', import.meta.url)),
  testMatch: ['<rootDir>/test/soak/soak.test.ts'],
  reporters: ['<rootDir>/test/soak/reporter.mjs'],
};

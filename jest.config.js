/**
 * Jest runs the TypeScript sources directly (transpiled by swc); `make lint` and `make build` check
 * the types.
 */
const packages = {
  'ngsi-core': 'libs',
  'kafka-admin': 'libs',
  'agent-runtime': 'libs',
  'local-stack': 'libs',
  'agent-testkit': 'libs',
  cli: 'tools',
};
const services = ['historic', 'lastdata', 'mutable', 'errors'];

/** What `make test` runs on a real Kafka and PostGIS; `make check` runs everything. */
const guardEveryChange = [
  'integration/session-conformance',
  'integration/exactly-once',
  'faults/quick/*',
  'e2e/quick/pipeline',
];

/** Tests of local-stack that start the programs themselves: a part of the integration project. */
const programs = '/libs/local-stack/test/programs/';

const shared = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'es6' } },
    ],
  },
  moduleNameMapper: {
    '^@kafnus/(agent-contract|ngsi-core|kafka-admin|agent-runtime|local-stack|agent-testkit)$':
      '<rootDir>/libs/$1/src/index.ts',
    '^@kafnus/(historic|lastdata|mutable|errors)$': '<rootDir>/services/$1/src/agent.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
};

export default {
  // With the Kafka client loaded, Node's own clean-up at the end of a process sometimes spins for
  // good.
  forceExit: true,
  projects: [
    ...Object.entries(packages).map(([name, folder]) => ({
      ...shared,
      displayName: name,
      testMatch: [`<rootDir>/${folder}/${name}/test/**/*.test.ts`],
      testPathIgnorePatterns: [programs],
    })),
    ...services.map((name) => ({
      ...shared,
      displayName: name,
      testMatch: [`<rootDir>/services/${name}/test/**/*.test.ts`],
    })),
    { ...shared, displayName: 'fuzz', testMatch: ['<rootDir>/test/fuzz/unit/*.test.ts'] },
    { ...shared, displayName: 'docs', testMatch: ['<rootDir>/test/docs/**/*.test.ts'] },
    { ...shared, displayName: 'quick', testMatch: guardEveryChange.map((file) => `<rootDir>/test/${file}.test.ts`) },
    {
      ...shared,
      displayName: 'integration',
      testMatch: ['<rootDir>/test/integration/**/*.test.ts', `<rootDir>${programs}*.test.ts`],
      testPathIgnorePatterns: guardEveryChange.map((file) => `/test/${file}\\.test\\.ts$`),
    },
    { ...shared, displayName: 'security', testMatch: ['<rootDir>/test/security/**/*.test.ts'] },
    { ...shared, displayName: 'monitoring', testMatch: ['<rootDir>/test/monitoring/**/*.test.ts'] },
    { ...shared, displayName: 'e2e', testMatch: ['<rootDir>/test/e2e/**/*.test.ts'] },
    { ...shared, displayName: 'faults', testMatch: ['<rootDir>/test/faults/**/*.test.ts'] },
  ],
};

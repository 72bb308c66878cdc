import { defineConfig } from 'eslint/config';
import regexp from 'eslint-plugin-regexp';
import tseslint from 'typescript-eslint';

/**
 * Who may import whom. Packages are reached by name alone (their `exports` hold nothing but the
 * index), and by relative paths nobody leaves a package: its tsconfig's rootDir sees to that.
 *
 * @param {string} allowed the packages, as a regular expression
 * @param {string} message why, read by whoever breaks the rule
 */
const mayImport = (allowed, message) => ({
  'no-restricted-imports': ['error', { patterns: [{ regex: `^(?!\\.{1,2}/|(${allowed})$)`, message }] }],
});

/**
 * What a decision must not reach for: the same bytes in give the same bytes out, whenever and
 * wherever it runs.
 */
const pure = {
  'no-restricted-globals': [
    'error',
    ...[
      'console',
      'process',
      'performance',
      'crypto',
      'fetch',
      'setTimeout',
      'setInterval',
      'setImmediate',
      'require',
    ].map((name) => ({ name, message: 'Decisions are pure: no clock, no I/O, no logger. The runtime has those.' })),
  ],
  'no-restricted-properties': [
    'error',
    { object: 'Date', property: 'now', message: 'Time comes from the record.' },
    { object: 'Math', property: 'random', message: 'Replay must give the same bytes.' },
  ],
  'no-restricted-syntax': [
    'error',
    { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'Time comes from the record.' },
    { selector: "CallExpression[callee.name='Date']", message: 'Time comes from the record.' },
    { selector: ':function[async=true]', message: 'Decisions are synchronous: the runtime awaits, agents decide.' },
    { selector: 'AwaitExpression, ForOfStatement[await=true]', message: 'Decisions are synchronous.' },
    { selector: 'ImportExpression', message: 'Decisions load nothing while they run.' },
  ],
};

export default defineConfig(
  { ignores: ['**/dist/', '**/node_modules/', '.tools/', '.cache/', 'coverage/'] },
  {
    // An expression whose time grows with the square of its input, or worse, lets one record stop
    // an agent.
    files: ['**/*.ts', '**/*.mjs', '**/*.js'],
    plugins: { regexp },
    rules: { 'regexp/no-super-linear-backtracking': ['error', { report: 'potential' }] },
  },
  {
    // The same for a search that begins again at each place. What tests match they have made
    // themselves.
    files: ['**/*.ts', '**/*.mjs', '**/*.js'],
    ignores: ['**/test/**', 'test/**'],
    rules: { 'regexp/no-super-linear-move': ['error', { report: 'certain' }] },
  },
  {
    files: ['**/*.ts', 'libs/agent-runtime/src/page/browser/*.js'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      // A leading underscore says that a name is there for its position.
      '@typescript-eslint/no-unused-vars': [
        'error',
        {
          argsIgnorePattern: '^_',
          varsIgnorePattern: '^_',
          destructuredArrayIgnorePattern: '^_',
          ignoreRestSiblings: true,
        },
      ],
      // fastify awaits what its hooks and handlers return, whatever their types say.
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { properties: false } }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      eqeqeq: 'error',
      'no-var': 'error',
      'prefer-const': 'error',
    },
  },
  {
    files: ['libs/ngsi-core/src/**'],
    rules: {
      ...pure,
      ...mayImport(
        '@kafnus/agent-contract',
        'ngsi-core is pure: the contract and nothing else, no packages, no Node.js modules.',
      ),
    },
  },
  {
    files: ['libs/kafka-admin/src/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [{ regex: '^@kafnus/', message: 'It knows a cluster, and no agent.' }] },
      ],
    },
  },
  {
    files: ['libs/agent-runtime/src/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: '^@kafnus/(?!(agent-contract|kafka-admin)$)',
              message: 'The runtime knows nothing of NGSI, services or test tools.',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['libs/local-stack/src/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: '^@kafnus/(?!(agent-runtime|kafka-admin)$)',
              message: 'It starts any agent: it imports agent-runtime and kafka-admin only.',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['libs/agent-testkit/src/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: '^@kafnus/(?!(agent-runtime|kafka-admin|local-stack)$)',
              message: 'The testkit serves any agent: it imports agent-runtime, kafka-admin and local-stack only.',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['tools/*/src/**', 'bench/src/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [{ regex: '^@kafnus/agent-testkit$', message: 'What users run does not import test tools.' }] },
      ],
    },
  },
  {
    files: ['services/*/src/**'],
    ignores: ['services/*/src/main.ts'],
    rules: {
      ...pure,
      ...mayImport('@kafnus/(agent-runtime|ngsi-core)', 'A service imports agent-runtime and ngsi-core, nothing else.'),
    },
  },
  {
    files: ['services/*/src/main.ts'],
    rules: mayImport('@kafnus/agent-runtime', 'main.ts hands the agent to the runtime: three lines.'),
  },
  {
    // Tests and the status page read parsed JSON as it comes; tests hand over bad input.
    files: ['**/test/**/*.ts', 'libs/agent-runtime/src/page/browser/*.js'],
    rules: {
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/require-await': 'off',
    },
  },
);

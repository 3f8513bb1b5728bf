const hasGivenPostgres = Object.entries(process.env).some(
  ([name, value]) =>
    /^BACKSTAGE_TEST_DATABASE_POSTGRES\d+_CONNECTION_STRING$/.test(name) &&
    value,
);

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' } },
    ],
    '/jose/.+\\.js$': ['@swc/jest', { module: { type: 'commonjs' } }],
  },
  // Backstage requires it as Node can by now, but Jest only from Node 24 on.
  transformIgnorePatterns: ['/node_modules/(?!.*\\bjose/)'],
  globalSetup: '<rootDir>/test/support/globalSetup.ts',
  globalTeardown: '<rootDir>/test/support/globalTeardown.ts',
  setupFilesAfterEnv: ['<rootDir>/test/support/unhandled.ts'],
  // Each worker has a Postgres of its own. A server that the environment names
  // can have but one, since emulators make and drop databases of fixed names.
  maxWorkers: hasGivenPostgres ? 1 : '100%',
  testTimeout: 30_000,
};

import { availableParallelism } from 'node:os';

const { name, mutate, needsPostgres } = JSON.parse(process.env.MUTATION_GROUP);

export default {
  mutate,
  testRunner: 'jest',
  plugins: ['@stryker-mutator/jest-runner'],
  jest: {
    configFile: 'suites/mutation/jest.config.mjs',
    enableFindRelatedTests: false,
  },
  coverageAnalysis: 'perTest',
  // One server is there, on which tests make databases of fixed names.
  concurrency: needsPostgres ? 1 : availableParallelism(),
  reporters: ['json', 'clear-text'],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  jsonReporter: { fileName: `reports/mutation/${name}.json` },
  tempDirName: 'reports/stryker',
};

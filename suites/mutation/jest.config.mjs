import base from '../../jest.config.js';

const { tests } = JSON.parse(process.env.MUTATION_GROUP);

/** The project's own, on the tests of one group. */
export default {
  ...base,
  rootDir: '../..',
  testMatch: tests.map(test => `<rootDir>/test/${test}.test.ts`),
};

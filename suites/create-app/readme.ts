import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, parseDocument } from 'yaml';
import { ROOT } from '../versions/locked';
import type { App } from './app';

const LAST_LINE = 'backend.start();';

/** Adds the line and the block of the README, as a reader of it would. */
export async function follow(app: App): Promise<void> {
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
  const [line, block] = [firstOf(readme, 'ts'), firstOf(readme, 'yaml')];

  const entry = 'packages/backend/src/index.ts';
  const source = await app.read(entry);
  await app.write(entry, source.replace(LAST_LINE, `${line}\n${LAST_LINE}`));

  const file = 'app-config.production.yaml';
  const config = parseDocument(await app.read(file));
  const { backend } = parse(block) as { backend: { database: object } };
  config.setIn(['backend', 'database'], backend.database);
  await app.write(file, config.toString());
}

function firstOf(readme: string, language: string): string {
  const found = new RegExp(`\`\`\`${language}\n((?:.|\n)*?)\`\`\``).exec(
    readme,
  );
  if (!found) throw new Error(`The README has no block of ${language}`);
  return found[1];
}

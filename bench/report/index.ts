import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { benchmarks } from '../benchmarks';
import { page } from './page';
import { draw } from './plot';
import { withResults } from './readme';
import type { Results } from './results';

const ROOT = join(__dirname, '..', '..');
const README = join(ROOT, 'README.md');
const DOCS = join(ROOT, 'docs');
const PAGE = join(DOCS, 'benchmarks.md');

/** Writes the page, the README's section and the pictures, from all results there are. */
export async function writeReport(results: Results): Promise<void> {
  const known = benchmarks.flatMap(({ name }) => results[name] ?? []);
  const settings = await resolveConfig(PAGE);
  const tidy = (text: string) =>
    format(text, { ...settings, parser: 'markdown' });
  await writeFile(PAGE, await tidy(page(known)));
  const readme = await readFile(README, 'utf8');
  await writeFile(README, await tidy(withResults(readme, known)));
  await mkdir(join(DOCS, 'benchmarks'), { recursive: true });
  for (const plot of known.flatMap(({ plots = [] }) => plots)) {
    await writeFile(join(DOCS, 'benchmarks', `${plot.name}.svg`), draw(plot));
  }
}

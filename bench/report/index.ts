import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { benchmarks } from '../benchmarks';
import { page } from './page';
import { draw } from './plot';
import type { Results } from './results';

const DOCS = join(__dirname, '..', '..', 'docs');
const PAGE = join(DOCS, 'benchmarks.md');

/** Writes the page and its pictures, from all results there are. */
export async function writeReport(results: Results): Promise<void> {
  const known = benchmarks.flatMap(({ name }) => results[name] ?? []);
  const settings = await resolveConfig(PAGE);
  await writeFile(
    PAGE,
    await format(page(known), { ...settings, filepath: PAGE }),
  );
  await mkdir(join(DOCS, 'benchmarks'), { recursive: true });
  for (const plot of known.flatMap(({ plots = [] }) => plots)) {
    await writeFile(join(DOCS, 'benchmarks', `${plot.name}.svg`), draw(plot));
  }
}

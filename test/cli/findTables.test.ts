import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PLUGINS_OF_BACKSTAGE } from '../../src/cli/doctor/findTables';

const SCOPE = dirname(
  dirname(require.resolve('@backstage/plugin-catalog-backend/package.json')),
);

/** All the code that a package runs, as text. */
function codeOf(folder: string): string {
  const dist = join(SCOPE, folder, 'dist');
  if (!existsSync(dist)) return '';
  return readdirSync(dist, { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.js'))
    .map(file => readFileSync(join(dist, file), 'utf8'))
    .join('\n');
}

it('the doctor knows every installed plugin of Backstage that keeps tables', () => {
  const ids = readdirSync(SCOPE)
    .filter(folder => /^plugin-.*-backend$/.test(folder))
    .filter(folder => /coreServices\.database\b/.test(codeOf(folder)))
    .map(folder => {
      const manifest = join(SCOPE, folder, 'package.json');
      const { backstage } = JSON.parse(readFileSync(manifest, 'utf8')) as {
        backstage: { pluginId: string };
      };
      return backstage.pluginId;
    });

  expect(ids).toContain('catalog');
  expect(PLUGINS_OF_BACKSTAGE).toEqual(expect.arrayContaining(ids));
});

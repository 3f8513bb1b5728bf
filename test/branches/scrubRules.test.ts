import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CORE_TABLES, PLUGIN_TABLES } from '../../src/branches/scrubRules';

const PAGE = join(__dirname, '..', '..', 'docs', 'branches.md');

const scrubbed = Object.entries({
  every: CORE_TABLES,
  ...PLUGIN_TABLES,
}).flatMap(([plugin, { tables }]) =>
  Object.entries(tables)
    .filter(([, rule]) => rule !== 'keep')
    .map(([table]) => [plugin, table]),
);

it.each(scrubbed)(
  'docs/branches.md says what becomes of %s %s',
  (plugin, table) => {
    const rows = readFileSync(PAGE, 'utf8').split('\n');
    const row = rows.find(
      line =>
        line.startsWith(`| \`${plugin}\``) || line.startsWith(`| ${plugin} `),
    );

    expect(row).toContain(`\`${table}\``);
  },
);

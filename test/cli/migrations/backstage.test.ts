import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  applyUpTo,
  fillAuth,
  fillCatalog,
  LAST_OF_AUTH_0_30,
  LAST_OF_CATALOG_3_4,
} from '../../../testbed/olderPortal';
import { migrationsOf } from '../../../testbed/pluginMigrations';
import { rehearse } from './rehearsal';
import { upgradeTests, type Upgrade } from './upgrade';

const start = upgradeTests();

/** A portal of catalog 3.4 and auth 0.30, and the newest of both installed. */
async function startOld(pluginDivisionMode: string): Promise<Upgrade> {
  const upgrade = await start({ pluginDivisionMode });
  const scratch = join(upgrade.backend, 'scratch');
  const catalog = await upgrade.knexOf('catalog');
  await applyUpTo(
    catalog,
    migrationsOf('catalog'),
    LAST_OF_CATALOG_3_4,
    scratch,
  );
  await fillCatalog(catalog, 300);
  const auth = await upgrade.knexOf('auth');
  await applyUpTo(auth, migrationsOf('auth'), LAST_OF_AUTH_0_30, scratch);
  await fillAuth(auth, 3);
  const directory = join(
    require.resolve('@backstage/backend-defaults/package.json'),
    '../migrations/scheduler',
  );
  await auth.migrate.latest({
    directory,
    tableName: 'backstage_backend_tasks__knex_migrations',
  });
  await upgrade.link('@backstage/plugin-catalog-backend');
  await upgrade.link('@backstage/plugin-auth-backend');
  await upgrade.link('@backstage/backend-defaults');
  return upgrade;
}

const CONTENT = `
  SELECT c.relname AS name, md5(query_to_xml(format('SELECT * FROM %I.%I', n.nspname, c.relname), true, true, '')::text) AS sum
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
  ORDER BY 1`;

describe('a portal of catalog 3.4 and auth 0.30', () => {
  it.each(['schema', 'database'])(
    'is rehearsed to the newest, migrated alike, and taken back (%s)',
    async pluginDivisionMode => {
      const upgrade = await startOld(pluginDivisionMode);
      const catalog = await upgrade.knexOf('catalog');
      const contents = async () =>
        (await catalog.raw<{ rows: object[] }>(CONTENT)).rows;
      const before = await contents();

      const { report } = await rehearse(upgrade);

      await expect(contents()).resolves.toEqual(before);
      expect(report.verdict.text).toContain(
        '20261030120000_remove_dcr.js: 3 rows of offline_sessions go, table oidc_clients is dropped with 3 rows',
      );
      expect(report.sets.map(it => it.plugin)).toEqual(['auth', 'catalog']);
      const [, { migrations }] = report.sets;
      const dedup = migrations.find(({ file }) => file.includes('dedup'))!;
      expect(dedup).toMatchObject({
        transactional: false,
        lost: ['3 rows of search go'],
      });
      const failures = migrations.filter(it => it.error ?? it.again?.error);
      expect(failures).toEqual([]);
      expect(
        migrations.flatMap(({ file, again }) =>
          again?.differences.length === 0 ? [] : [file],
        ),
      ).toEqual([]);

      // What one has lost is not said of those before it.
      expect(migrations.flatMap(({ again }) => again!.lost)).toEqual([]);

      const migrated = await upgrade.run(
        'migrate',
        '--json',
        '--no-restore-point',
      );
      expect(migrated.exitCode).toBe(0);
      const { migrations: done } = JSON.parse(migrated.stdout) as {
        migrations: { plugin: string; file: string }[];
      };
      expect(done.map(({ file }) => file)).toEqual(
        report.sets.flatMap(set => set.migrations.map(({ file }) => file)),
      );

      const back = await upgrade.run(
        ...['rollback', '--to', 'catalog@previous', '--yes'],
        ...['--accept-loss', 'catalog', '--no-restore-point', '--unrehearsed'],
      );
      expect(back.stdout).toContain(
        'migrations of plugin catalog are taken back',
      );
      await expect(catalog('final_entities').count()).resolves.toEqual([
        { count: '300' },
      ]);
    },
  );
});

describe('a portal with RBAC', () => {
  it('has its migrations found where they are, whatever its package says', async () => {
    const rbac = '@backstage-community/plugin-rbac-backend';
    const directory = join(
      require.resolve(`${rbac}/package.json`),
      '../migrations',
    );
    const upgrade = await start();
    const knex = await upgrade.knexOf('permission');
    const [last, ...others] = (await readdir(directory)).sort().reverse();
    const scratch = join(upgrade.backend, 'scratch');
    await applyUpTo(knex, directory, others[0], scratch);
    await upgrade.link(rbac);

    const { report } = await rehearse(upgrade);

    expect(
      report.sets.map(it => [it.plugin, it.package, it.migrations[0].file]),
    ).toEqual([['permission', rbac, last]]);
    expect(report.verdict.kind).toBe('safe');
  });
});

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JsonObject } from '@backstage/types';
import { NO_TRANSACTION, statements, upgradeTests } from './upgrade';

const start = upgradeTests();

const FIRST = {
  '1_books.js': statements('create table books (id int, title text)'),
};
const IMPATIENT = { lakebase: { connectTimeout: '1s' } };
const PAGES = {
  '2_pages.js': statements('alter table books add column pages int'),
};

async function startBooks(next: Record<string, string>, settings?: JsonObject) {
  const upgrade = await start({ pluginDivisionMode: 'schema', ...settings });
  const directory = await upgrade.install('books', FIRST);
  const knex = await upgrade.knexOf('books');
  await knex.migrate.latest({ directory });
  await knex.raw(
    `insert into books select n, 't' from generate_series(1, 10) n`,
  );
  await upgrade.install('books', { ...FIRST, ...next });
  const applied = async () =>
    (await knex('knex_migrations').orderBy('id').pluck('name')) as string[];
  return { upgrade, knex, applied };
}

describe('migrate', () => {
  it.each(['schema', 'database'])(
    'runs what is pending after a restore point, and again finds nothing to do (%s)',
    async pluginDivisionMode => {
      const { upgrade, knex, applied } = await startBooks(PAGES, {
        pluginDivisionMode,
      });

      const first = await upgrade.run('migrate');
      const second = await upgrade.run('migrate');

      expect(first).toMatchObject({ exitCode: 0 });
      expect(first.stdout).toMatch(
        /^1 migrations in .*To go back to the restore point/s,
      );
      expect(second).toMatchObject({
        exitCode: 0,
        stdout: 'Nothing is pending\n',
      });
      await expect(applied()).resolves.toEqual(['1_books.js', '2_pages.js']);
      await expect(knex.schema.hasColumn('books', 'pages')).resolves.toBe(true);
      expect(upgrade.branches()).toEqual([
        expect.stringContaining('/restore-1-2-3-'),
      ]);
    },
  );

  it('makes a restore point of what was there before', async () => {
    const { upgrade } = await startBooks(PAGES);

    await upgrade.run('migrate');

    const [name] = upgrade.branches();
    const columns = await upgrade.emulator.queryBranch(
      name,
      `select column_name from information_schema.columns where table_schema = 'books' and table_name = 'books'`,
    );
    expect(columns).toHaveLength(2);
  });

  it('only tells with --dry-run', async () => {
    const { upgrade, applied } = await startBooks(PAGES);

    const { stdout, stderr } = await upgrade.run('migrate', '--dry-run');
    const json = await upgrade.run('migrate', '--dry-run', '--json');

    expect(stdout).toBe('Nothing was changed\n');
    expect(JSON.parse(json.stdout)).toEqual({
      version: 1,
      pending: [{ plugin: 'books', file: '2_pages.js' }],
    });
    expect(stderr).toContain('books  2_pages.js');
    await expect(applied()).resolves.toEqual(['1_books.js']);
    expect(upgrade.branches()).toEqual([]);
  });

  it('shows the times of the rehearsal', async () => {
    const { upgrade } = await startBooks(PAGES);
    const rehearsal = await upgrade.run('rehearse', '--json');
    const file = join(upgrade.backend, 'rehearsal.json');
    await writeFile(file, rehearsal.stdout);

    const { stderr } = await upgrade.run('migrate', '--rehearsal', file);

    expect(stderr).toMatch(/2_pages\.js {2}\d.* s, \d.* s in the rehearsal/);
  });

  it('changes nothing where there is no room for a restore point', async () => {
    const { upgrade, applied } = await startBooks(PAGES);
    upgrade.emulator.controlPlane.branchChanges.limit = 1;

    const refused = await upgrade.run('migrate');
    const done = await upgrade.run('migrate', '--no-restore-point');

    expect(refused).toMatchObject({
      exitCode: 3,
      stderr: expect.stringMatching(
        /nothing was changed: .*--no-restore-point/s,
      ) as string,
    });
    expect(done.exitCode).toBe(0);
    await expect(applied()).resolves.toHaveLength(2);
  });

  it('reports a failure, with one transaction for all taken back', async () => {
    const { upgrade, applied } = await startBooks({
      ...PAGES,
      '3_broken.js': statements('alter table missing add column a int'),
    });

    const { exitCode, stdout } = await upgrade.run(
      'migrate',
      '--no-restore-point',
    );

    expect(exitCode).toBe(1);
    expect(stdout).toMatch(
      /^Plugin books failed at 3_broken\.js: .*relation "missing" does not exist/,
    );
    await expect(applied()).resolves.toEqual(['1_books.js']);
  });

  it('names the unfinished index of one without a transaction, and goes on once it is gone', async () => {
    const { upgrade, knex, applied } = await startBooks({
      ...PAGES,
      '3_unique.js': statements(
        'create unique index concurrently if not exists titles on books (title)',
        'drop index titles',
        NO_TRANSACTION,
      ),
    });

    const { exitCode, stdout } = await upgrade.run(
      'migrate',
      '--no-restore-point',
    );

    expect(exitCode).toBe(1);
    expect(stdout).toContain('DROP INDEX CONCURRENTLY books.titles;');
    await expect(applied()).resolves.toEqual(['1_books.js', '2_pages.js']);
    await knex.raw('drop index concurrently titles');
    await knex.raw('update books set title = id');
    await expect(
      upgrade.run('migrate', '--no-restore-point'),
    ).resolves.toMatchObject({ exitCode: 0 });
  });

  it('refuses where a lock was left behind, with the statement that frees it', async () => {
    const { upgrade, knex } = await startBooks(PAGES, IMPATIENT);
    await knex('knex_migrations_lock').update({ is_locked: 1 });

    const { exitCode, stderr } = await upgrade.run('migrate');

    expect(exitCode).toBe(3);
    expect(stderr).toMatch(
      /plugin books are locked .*taken after 1_books\.js of .*nobody is at work there/s,
    );
    const [statement] = /DELETE FROM .*/.exec(stderr)!;
    await knex.raw(statement);
    await expect(upgrade.run('migrate')).resolves.toMatchObject({
      exitCode: 0,
    });
  });

  it('waits for its turn, and names who is at work when that takes too long', async () => {
    const { upgrade, knex } = await startBooks(PAGES, IMPATIENT);
    await knex('knex_migrations_lock').update({ is_locked: 1 });
    const other = await knex.transaction();
    await other.raw('select 1');

    const { stderr } = await upgrade.run('migrate');
    await other.rollback();

    expect(stderr).toMatch(
      /Waiting for another process to migrate plugin books/,
    );
    expect(stderr).toMatch(/at work there: process \d+ \(.*\) since 20/);
  });

  it('says which version is older than the database', async () => {
    const { upgrade, knex } = await startBooks(PAGES);
    await knex('knex_migrations').insert({ name: '9_newer.js', batch: 2 });

    const { exitCode, stderr } = await upgrade.run('migrate');

    expect(exitCode).toBe(2);
    expect(stderr).toContain('9_newer.js');
  });

  it('ends at Ctrl-C, rolled back and with the lock free', async () => {
    const { upgrade, knex, applied } = await startBooks({
      '2_slow.js': statements(
        'alter table books add column a int; select pg_sleep(60)',
      ),
    });
    const controller = new AbortController();

    const slow = new Promise<void>(resolve => {
      upgrade.emulator.gateway.on('statement', sql => {
        if (sql.includes('pg_sleep')) resolve();
      });
    });
    const running = upgrade.interruptible(
      controller.signal,
      'migrate',
      '--no-restore-point',
    );
    await slow;
    controller.abort();

    await expect(running).resolves.toMatchObject({ exitCode: 130 });
    await expect(applied()).resolves.toEqual(['1_books.js']);
    await expect(
      knex('knex_migrations_lock').pluck('is_locked'),
    ).resolves.toEqual([0]);
  });
});

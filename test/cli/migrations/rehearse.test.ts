import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { viewStatements } from '../../../src/governance/views';
import { rehearse } from './rehearsal';
import {
  NO_TRANSACTION,
  statements,
  upgradeTests,
  type Upgrade,
} from './upgrade';

const start = upgradeTests();

const FIRST = {
  '1_books.js': statements(
    'create table books (id int primary key, title text, isbn text)',
    'drop table books',
  ),
};

/** Production has the first migration and a shelf of books. */
async function startBooks(
  next: Record<string, string>,
  settings?: { pluginDivisionMode?: string },
  books = 1_000,
): Promise<Upgrade> {
  const upgrade = await start(settings);
  const directory = await upgrade.install('books', FIRST);
  const knex = await upgrade.knexOf('books');
  await knex.migrate.latest({ directory });
  await knex.raw(
    `insert into books select n, 'title ' || n, 'isbn ' || n
     from generate_series(1, ?) n`,
    [books],
  );
  await upgrade.install('books', { ...FIRST, ...next });
  return upgrade;
}

describe('rehearse', () => {
  it('runs what is pending on a copy, there and back, and leaves production alone', async () => {
    const upgrade = await startBooks({
      '2_pages.js': statements(
        'alter table books add column pages int default 0',
        'alter table books drop column pages',
      ),
    });

    const { exitCode, report } = await rehearse(upgrade);

    expect(report.verdict.text).toMatch(/^safe: 1 migration in/);
    expect(exitCode).toBe(0);
    const [{ plugin, migrations }] = report.sets;
    expect(plugin).toBe('books');
    expect(migrations).toEqual([
      expect.objectContaining({ file: '2_pages.js', transactional: true }),
    ]);
    expect(migrations[0].down).toMatchObject({ differences: [] });
    expect(migrations[0].again).toMatchObject({ differences: [], lost: [] });
    expect(migrations[0].statements[0].locks).toContainEqual(
      expect.objectContaining({ table: 'books', mode: 'AccessExclusiveLock' }),
    );
    const knex = await upgrade.knexOf('books');
    await expect(knex.schema.hasColumn('books', 'pages')).resolves.toBe(false);
    expect(upgrade.branches()).toEqual([]);
  });

  it('says so when nothing is pending, without a copy', async () => {
    const upgrade = await startBooks({});

    const { report } = await rehearse(upgrade);

    expect(report.verdict).toEqual({
      kind: 'safe',
      text: 'safe: nothing is pending',
    });
    expect(upgrade.emulator.controlPlane.count('createBranch')).toBe(0);
  });

  it('finds each way to lose data', async () => {
    const upgrade = await startBooks({
      '2_rows.js': statements('delete from books where id > 990'),
      '3_values.js': statements('update books set isbn = null where id <= 5'),
      '4_column.js': statements('alter table books drop column isbn'),
      '5_all.js': statements('truncate books'),
      '6_fill.js': statements('insert into books values (1)'),
      '7_table.js': statements('drop table books'),
    });

    const { exitCode, report } = await rehearse(upgrade);

    expect(report.verdict.kind).toBe('loses-data');
    expect(report.verdict.text).toContain(
      'plugin books, 2_rows.js: 10 rows of books go; plugin books, 3_values.js',
    );
    expect(report.sets[0].migrations.map(({ lost }) => lost)).toEqual([
      ['10 rows of books go'],
      ['5 values of books.isbn become null'],
      ['column books.isbn is dropped with 985 values'],
      ['990 rows of books go'],
      [],
      ['table books is dropped with 1 row'],
    ]);
    expect(exitCode).toBe(1);
  });

  it('finds no loss where a table is built anew or renamed', async () => {
    const upgrade = await startBooks({
      '2_anew.js': statements(`
        create table fresh as select id, title as name, isbn from books;
        drop table books; alter table fresh rename to books;
        alter table books rename column name to title`),
      '3_rename.js': statements(
        'alter table books rename column isbn to number; alter table books rename to works',
        'alter table works rename to books; alter table books rename column number to isbn',
      ),
    });

    const { report } = await rehearse(upgrade);

    expect(report.sets[0].migrations.map(({ lost }) => lost)).toEqual([[], []]);
  });

  it('finds views of analysts that a migration leaves without their table', async () => {
    const upgrade = await start();
    const directory = await upgrade.install('catalog', {
      '1_entities.js': statements(
        'create table final_entities (final_entity text)',
      ),
    });
    const knex = await upgrade.knexOf('catalog');
    await knex.migrate.latest({ directory });
    await knex.raw(`insert into final_entities values ('{"kind":"API"}')`);
    for (const sql of viewStatements('catalog')) await knex.raw(sql);
    await upgrade.install('catalog', {
      '1_entities.js': statements('select 1'),
      '2_wide.js': statements(
        'alter table final_entities alter final_entity type varchar',
        'alter table final_entities alter final_entity type text',
      ),
    });

    expect((await rehearse(upgrade)).report.verdict.kind).toBe('safe');

    await upgrade.uninstall('catalog', '2_wide.js');
    await upgrade.install('catalog', {
      '1_entities.js': statements('select 1'),
      '2_renamed.js': statements(
        'alter table final_entities rename final_entity to entity',
        'alter table final_entities rename entity to final_entity',
      ),
    });

    const { exitCode, report } = await rehearse(upgrade);

    expect(exitCode).toBe(1);
    expect(report.verdict).toEqual({
      kind: 'breaks-views',
      text: expect.stringMatching(
        /^breaks views of analysts: backstage_views\.entities: .*column "final_entity" does not exist/,
      ) as string,
    });
  });

  it('accepts the loss of the plugins that it is told', async () => {
    const upgrade = await startBooks({
      '2_lost.js': statements('delete from books'),
    });

    const { exitCode } = await rehearse(upgrade, '--accept-loss', 'books');

    expect(exitCode).toBe(0);
  });

  it('measures how long a table is blocked for others', async () => {
    const upgrade = await startBooks({
      '2_slow.js': statements(
        'alter table books add column pages int; select pg_sleep(0.4)',
        'alter table books drop column pages',
      ),
    });

    const { report } = await rehearse(upgrade, '--max-blocked', '0.2s');

    expect(report.verdict).toMatchObject({
      kind: 'needs-window',
      text: expect.stringMatching(
        /of 1 seconds: (reads|writes) of books/,
      ) as string,
    });
    const [{ readsMs, writesMs }] = report.sets[0].migrations[0].blocked;
    expect(readsMs).toBeGreaterThan(200);
    expect(writesMs).toBeGreaterThan(200);
  });

  it('counts what is not in a transaction, and samples its locks', async () => {
    const upgrade = await startBooks({
      '2_index.js': statements(
        'create index concurrently titles on books (title)',
        'drop index concurrently titles',
        NO_TRANSACTION,
      ),
      '3_fill.js': statements(
        `insert into books select n from generate_series(2001, 2010) n`,
        'delete from books where id > 2000',
        NO_TRANSACTION,
      ),
    });

    const { report, stderr } = await rehearse(upgrade);

    expect(stderr).toContain('2_index.js');
    const [index, fill] = report.sets[0].migrations;
    expect(index.transactional).toBe(false);
    expect(fill.changes).toEqual([
      { table: 'books', inserted: 10, changed: 0, deleted: 0 },
    ]);
    expect(index.down!.differences).toEqual([]);
  });

  it('tells a failure, and in which file', async () => {
    const upgrade = await startBooks({
      '2_broken.js': statements('alter table missing add column a int'),
    });

    const { exitCode, report } = await rehearse(upgrade);

    expect(report.verdict).toMatchObject({
      kind: 'fails',
      text: expect.stringContaining(
        'plugin books, 2_broken.js: alter table missing add column a int - relation "missing" does not exist',
      ) as string,
    });
    expect(exitCode).toBe(1);
    expect(upgrade.branches()).toEqual([]);
  });

  it('tells one without down, which Knex refuses', async () => {
    const upgrade = await startBooks({
      '2_none.js': 'exports.up = async () => {};',
    });

    const { report } = await rehearse(upgrade);

    expect(report.verdict.text).toContain(
      '2_none.js must have both an up and down function',
    );
  });

  it('tells a way back that throws, and goes no further back', async () => {
    const upgrade = await startBooks({
      '2_a.js': statements('alter table books add column a int'),
      '3_b.js': `
        exports.up = async knex => { await knex.raw('alter table books add column b int'); };
        exports.down = async () => { throw new Error('There is no way back'); };`,
    });

    const { report } = await rehearse(upgrade);

    const [a, b] = report.sets[0].migrations;
    expect(b.down!.error).toBe('There is no way back');
    expect(a.down).toBeUndefined();
  });

  it('tells a way back that does nothing', async () => {
    const upgrade = await startBooks({
      '2_c.js': `
        exports.up = async knex => { await knex.raw('create table if not exists c (id int)'); };
        exports.down = async () => {};`,
    });

    const { report } = await rehearse(upgrade);
    const { stdout } = await upgrade.run('rehearse');

    expect(report.sets[0].migrations[0].down).toMatchObject({
      statements: 0,
      differences: ['+ column c.id integer'],
    });
    expect(stdout).toContain('does nothing');
  });

  it('proposes slow indexes that can be built beforehand, after it has tried', async () => {
    const upgrade = await startBooks({
      '2_index.js': `
        exports.up = async knex => {
          await knex.raw('create index if not exists titles on books ((title || select_slowly()))');
        };
        exports.down = async knex => { await knex.raw('drop index titles'); };`,
    });
    const knex = await upgrade.knexOf('books');
    await knex.raw(`create function select_slowly() returns text immutable
      language plpgsql as $$ begin perform pg_sleep(0.52); return 'x'; end $$`);

    const { report } = await rehearse(upgrade);

    const [ahead] = report.sets[0].ahead;
    expect(ahead.sql).toBe(
      'CREATE INDEX CONCURRENTLY IF NOT EXISTS "titles" on books ((title || select_slowly()));',
    );
    expect(ahead.msAfter).toBeLessThan(ahead.msBefore);
  });

  it('writes a comment for a pull request', async () => {
    const upgrade = await startBooks({
      '2_index.js': statements(
        'create index concurrently if not exists titles on books (title)',
        'select 1',
        NO_TRANSACTION,
      ),
    });
    const file = join(upgrade.backend, 'comment.md');

    await upgrade.run('rehearse', '--markdown', file);

    const comment = await readFile(file, 'utf8');
    expect(comment).toMatch(
      /^<!-- backstage-lakebase: rehearse -->\n## Migrations: safe/,
    );
    expect(comment).toContain('| books | 2\\_index.js (no transaction) |');
    expect(comment).toContain('waits for every transaction of the database');
    expect(comment).toContain('<details>');
    expect(comment).toContain('projects/backstage/branches/production');
  });

  it('works where each plugin has a database of its own', async () => {
    const upgrade = await startBooks(
      {
        '2_pages.js': statements(
          'alter table books add column pages int',
          'alter table books drop column pages',
        ),
      },
      { pluginDivisionMode: 'database' },
    );

    const { report } = await rehearse(upgrade);

    expect(report.verdict.kind).toBe('safe');
    expect(report.sets[0]).toMatchObject({ plugin: 'books', schema: 'public' });
  });

  it('finds migrations by what was applied, whatever a package says of itself', async () => {
    const upgrade = await start();
    const directory = await upgrade.install('rbac', FIRST);
    const knex = await upgrade.knexOf('permission');
    await knex.migrate.latest({ directory });
    await upgrade.install('rbac', {
      ...FIRST,
      '2_b.js': statements('create table b (id int)', 'drop table b'),
    });
    await upgrade.install('other', { '1_o.js': statements('select 1') });

    const { report } = await rehearse(upgrade);

    expect(report.sets.map(it => [it.plugin, it.package])).toEqual([
      ['permission', '@company/plugin-rbac-backend'],
    ]);
    expect(report.notCovered).toEqual([
      expect.stringContaining('plugin other has no tables yet'),
    ]);
  });

  it('reports what is applied and not installed, for which Knex refuses to begin', async () => {
    const upgrade = await startBooks({});
    const knex = await upgrade.knexOf('books');
    await knex('knex_migrations').insert({ name: '9_newer.js', batch: 2 });

    const { report } = await rehearse(upgrade);

    expect(report.verdict.text).toContain('9_newer.js');
  });

  it.each([false, { endpoint: 'projects/other' }])(
    'leaves a plugin alone whose own block leads elsewhere (%j)',
    async lakebase => {
      const upgrade = await startBooks({ '2_a.js': statements('select 1') });
      await upgrade.configure({ plugin: { books: { lakebase } } });

      const { report } = await rehearse(upgrade);

      expect(report.sets).toEqual([]);
      expect(report.notCovered).toEqual([
        'books: by its own block its database is not this one',
      ]);
    },
  );

  it('does not use production for a copy', async () => {
    const upgrade = await startBooks({ '2_a.js': statements('select 1') });

    const { exitCode, stderr } = await upgrade.run(
      'rehearse',
      '--branch',
      'production',
    );

    expect(stderr).toContain(
      'is not used for a rehearsal: the configuration points at it',
    );
    expect(exitCode).toBe(3);
  });

  it('says of each statement what a copy cannot show', async () => {
    const upgrade = await startBooks({
      '2_timeout.js': statements(
        `set local lock_timeout = '5s'; alter table books add column pages int`,
        'alter table books drop column pages',
      ),
      '3_check.js': statements(
        'alter table books add constraint positive check (id > 0) not valid; alter table books validate constraint positive',
        'alter table books drop constraint positive',
      ),
    });
    const knex = await upgrade.knexOf('books');
    const open = await knex.transaction();
    await open.raw('select 1');

    const { stdout } = await upgrade.run('rehearse');
    await open.rollback();

    expect(stdout).toMatch(
      /gives up when it cannot get its lock in time.*\(the oldest one of production was open for \d+\.?\d* s\):\n {4}books 2_timeout\.js: set local lock_timeout/,
    );
    expect(stdout).toMatch(
      /waits for other changes of the table .*\n {4}books 3_check\.js: /,
    );
  });

  it('tells a table that is written anew by its locks and its rows', async () => {
    const upgrade = await startBooks({
      '2_rewrite.js': statements(
        'alter table books alter column id type bigint; update books set title = upper(title)',
        'alter table books alter column id type int',
      ),
    });

    const { report } = await rehearse(upgrade);

    const [{ changes, statements: run }] = report.sets[0].migrations;
    expect(changes).toEqual([
      { table: 'books', inserted: 0, changed: 1_000, deleted: 0 },
    ]);
    expect(run[0].locks[0]).toMatchObject({
      table: 'books',
      mode: 'AccessExclusiveLock',
      sampled: false,
    });
    expect(run[0].locks[0].heldMs).toBeGreaterThan(0);
  });

  it('exceeds the start budget by the sum of all', async () => {
    const upgrade = await startBooks({
      '2_a.js': statements('select pg_sleep(0.2)'),
      '3_b.js': statements('select pg_sleep(0.2)'),
    });

    const { exitCode, report } = await rehearse(
      upgrade,
      '--start-budget',
      '0.3s',
    );

    expect(report.verdict.kind).toBe('exceeds-start-budget');
    expect(exitCode).toBe(1);
  });

  it('keeps the copy where it is told to, and uses it again', async () => {
    const upgrade = await startBooks({ '2_a.js': statements('select 1') });
    await upgrade.run('rehearse', '--keep');
    const [name] = upgrade.branches();

    const again = await rehearse(upgrade, '--branch', name);

    expect(again.report.verdict.text).toBe('safe: nothing is pending');
    expect(upgrade.branches()).toEqual([name]);
  });

  it.each(['makes the copy', 'logs in there', 'migrates', 'deletes the copy'])(
    'leaves nothing behind when it is interrupted while it %s',
    async when => {
      const upgrade = await startBooks({
        '2_slow.js': statements(
          'alter table books add column pages int; select pg_sleep(0.5)',
          'alter table books drop column pages',
        ),
      });
      const { gateway, controlPlane } = upgrade.emulator;
      const controller = new AbortController();
      const interrupt = () => controller.abort();
      const statement = new Promise<void>(resolve => {
        gateway.on('statement', sql => {
          if (sql.includes('pg_sleep')) resolve();
        });
      });
      const moments: Record<string, () => Promise<unknown>> = {
        'makes the copy': () => controlPlane.once('createBranch', 'received'),
        'logs in there': async () => {
          await controlPlane.once('createBranch', 'received');
          await once(gateway, 'login');
        },
        migrates: () => statement,
        'deletes the copy': () => controlPlane.once('deleteBranch', 'received'),
      };
      void moments[when]().then(interrupt);

      const { exitCode } = await upgrade.interruptible(
        controller.signal,
        'rehearse',
      );

      expect(exitCode).toBe(when === 'deletes the copy' ? 0 : 130);
      expect(upgrade.branches()).toEqual([]);
      const knex = await upgrade.knexOf('books');
      await expect(knex.schema.hasColumn('books', 'pages')).resolves.toBe(
        false,
      );
    },
  );
});

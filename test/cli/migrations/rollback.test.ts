import { NO_TRANSACTION, statements, upgradeTests } from './upgrade';

const start = upgradeTests();

const ALL = {
  '1_books.js': statements(
    'create table books (id int, title text)',
    'drop table books',
  ),
  '2_pages.js': statements(
    'alter table books add column pages int',
    'alter table books drop column pages',
  ),
  '3_index.js': statements(
    'create index titles on books (title)',
    'drop index titles',
  ),
};

async function startBooks(migrations: Record<string, string> = ALL) {
  const upgrade = await start();
  const first = await upgrade.install('books', {
    '1_books.js': migrations['1_books.js'],
  });
  const knex = await upgrade.knexOf('books');
  await knex.migrate.latest({ directory: first });
  const directory = await upgrade.install('books', migrations);
  await knex.migrate.latest({ directory });
  await knex.raw(
    `insert into books (id, title) select n, 't' from generate_series(1, 10) n`,
  );
  const applied = async () =>
    (await knex('knex_migrations').orderBy('id').pluck('name')) as string[];
  const rollback = (...args: string[]) => upgrade.run('rollback', ...args);
  return { upgrade, knex, applied, rollback };
}

describe('rollback', () => {
  it('rehearses and tells, and does nothing without --yes', async () => {
    const { upgrade, applied, rollback } = await startBooks();

    const { exitCode, stdout, stderr } = await rollback(
      '--to',
      'books:1_books',
    );

    expect(exitCode).toBe(0);
    expect(stdout).toBe('Nothing was changed; --yes does it\n');
    expect(stderr).toMatch(/down {2}3_index\.js.*down {2}2_pages\.js/s);
    await expect(applied()).resolves.toEqual(Object.keys(ALL));
    expect(upgrade.branches()).toEqual([]);
  });

  it('takes back to a migration, after a restore point', async () => {
    const { upgrade, knex, applied, rollback } = await startBooks();

    const { exitCode } = await rollback('--to', 'books:2_pages.js', '--yes');

    expect(exitCode).toBe(0);
    await expect(applied()).resolves.toEqual(['1_books.js', '2_pages.js']);
    await expect(knex.schema.hasColumn('books', 'pages')).resolves.toBe(true);
    expect(upgrade.branches()).toEqual([
      expect.stringContaining('/restore-1-2-3-'),
    ]);
  });

  it('takes back the last upgrade with @previous', async () => {
    const { applied, rollback } = await startBooks();

    await rollback('--to', 'books@previous', '--yes');

    await expect(applied()).resolves.toEqual(['1_books.js']);
  });

  it('names the data that is lost, and asks for it', async () => {
    const { knex, applied, rollback } = await startBooks();
    await knex('books').update({ pages: 3 });

    const asked = await rollback('--to', 'books:1_books', '--yes');
    const unseen = await rollback(
      '--to',
      'books:1_books',
      '--yes',
      '--unrehearsed',
    );
    const before = await applied();
    const done = await rollback(
      '--to',
      'books:1_books',
      '--yes',
      '--accept-loss',
      'books',
    );

    expect(asked).toMatchObject({
      exitCode: 1,
      stdout: expect.stringMatching(
        /^Lost: column books\.pages is dropped with 10 values\n.*--accept-loss books/s,
      ) as string,
    });
    expect(unseen).toMatchObject({
      exitCode: 1,
      stdout: expect.stringContaining('nobody knows what is lost') as string,
    });
    expect(before).toEqual(Object.keys(ALL));
    expect(done.exitCode).toBe(0);
    await expect(applied()).resolves.toEqual(['1_books.js']);
  });

  it.each([
    ['throws', `exports.down = async () => { throw new Error('no'); };`, 1],
    ['does nothing', 'exports.down = async () => {};', 0],
  ])(
    'says of a down that it %s, before anything runs',
    async (what, down, exitCode) => {
      const { upgrade, applied, rollback } = await startBooks({
        ...ALL,
        '4_last.js': `exports.up = async () => {}; ${down}`,
      });

      const outcome = await rollback('--to', 'books:3_index');

      expect(outcome.stderr).toContain(`4_last.js (its down ${what})`);
      expect(outcome.exitCode).toBe(exitCode);
      await expect(applied()).resolves.toContain('4_last.js');
      expect(upgrade.emulator.controlPlane.count('createBranch')).toBe(
        1 - exitCode,
      );
    },
  );

  it('changes nothing where the rehearsal fails', async () => {
    const { applied, rollback } = await startBooks({
      ...ALL,
      '4_last.js': statements('select 1', 'drop table missing', NO_TRANSACTION),
    });

    const { exitCode, stdout } = await rollback(
      '--to',
      'books:1_books',
      '--yes',
    );

    expect(exitCode).toBe(1);
    expect(stdout).toContain('The rehearsal failed: drop table missing');
    await expect(applied()).resolves.toHaveLength(4);
  });

  it.each([
    ['books', "--to 'books' is no migration"],
    ['films@previous', "No migrations of plugin 'films' are known here"],
    ['books:9_none', "Plugin 'books' has no migration '9_none' applied"],
  ])('refuses %s', async (to, problem) => {
    const { rollback } = await startBooks();

    const { exitCode, stderr } = await rollback('--to', to);

    expect(exitCode).toBe(2);
    expect(stderr).toContain(problem);
  });

  it('sends to the version that applied what is to go', async () => {
    const { upgrade, rollback } = await startBooks();
    await upgrade.uninstall('books', '3_index.js');

    const { exitCode, stderr } = await rollback('--to', 'books:1_books');

    expect(exitCode).toBe(2);
    expect(stderr).toContain('does not have 3_index.js');
  });
});

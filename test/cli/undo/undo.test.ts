import type { Knex } from 'knex';
import { fillCatalog } from '../../../testbed/olderPortal';
import { migrationsOf } from '../../../testbed/pluginMigrations';
import { nameOf } from '../portal';
import { undoTests, type Damaged } from './damaged';

const start = undoTests();

/** A portal with books, of which a branch remembers the first ten. */
async function startBooks(settings?: { pluginDivisionMode: string }) {
  const portal = await start(settings);
  const knex = await portal.knexOf('books');
  await knex.raw(`
    create table authors (id serial primary key, name text);
    create table books (id int generated always as identity primary key, title text not null,
      author int references authors (id) on delete cascade, upper text generated always as (upper(title)) stored);
    create index titles on books (title);
    create table notes (text text, pages json);
    insert into authors (name) values ('a'), ('b');
    insert into books (title, author) select 'title ' || n, 1 + n % 2 from generate_series(1, 10) n;
    insert into notes select 'note ' || n % 3, '{}' from generate_series(1, 6) n`);
  await portal.remember();
  return { portal, knex };
}

const titles = (knex: Knex) => knex('books').orderBy('id').pluck('title');

const restoring = (portal: Damaged, ...args: string[]) =>
  portal.undo('--restore', ...args);

describe('undo', () => {
  it('tells by table what is gone, changed and new, and changes nothing', async () => {
    const { portal, knex } = await startBooks();
    await knex('books').where('id', '<=', 3).delete();
    await knex('books').where('id', 4).update({ title: 'other' });
    await knex('books').insert({ title: 'new' });

    const { stdout, exitCode } = await portal.undo();
    const json = await portal.undo('--json');

    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^books +books +10 +8 +3 +1 +1$/m);
    expect(stdout).toContain('undo --branch before --restore');
    const { tables } = JSON.parse(json.stdout) as {
      tables: Record<string, unknown>[];
    };
    expect(tables).toContainEqual(
      expect.objectContaining({ table: 'authors', then: 2, now: 2, gone: 0 }),
    );
    await expect(titles(knex)).resolves.toHaveLength(8);
  });

  it('brings back what is gone, and leaves what is newer', async () => {
    const { portal, knex } = await startBooks();
    await knex('books').where('id', '<=', 3).delete();
    await knex('books').where('id', 4).update({ title: 'other' });
    await knex('books').insert({ title: 'new' });

    const first = await restoring(portal);
    const second = await restoring(portal);

    expect(first.stdout).toContain('books books: 3 rows are back');
    expect(first.exitCode).toBe(0);
    expect(second.stdout).not.toContain('back');
    await expect(titles(knex)).resolves.toEqual([
      ...['title 1', 'title 2', 'title 3', 'other'],
      ...Array.from({ length: 6 }, (_, index) => `title ${index + 5}`),
      'new',
    ]);
    await expect(
      knex('books').insert({ title: 'next' }),
    ).resolves.toBeDefined();
  });

  it('brings back the children that went with their parents', async () => {
    const { portal, knex } = await startBooks();
    await knex('authors').where('id', 1).delete();

    await restoring(portal, '--plugin', 'books.authors');

    await expect(titles(knex)).resolves.toHaveLength(10);
  });

  it('tells rows without a key apart by all they hold', async () => {
    const { portal, knex } = await startBooks();
    await knex.raw(
      `delete from notes where ctid in (select ctid from notes where text = 'note 1' limit 1)`,
    );
    await knex('notes').where('text', 'note 2').delete();
    await knex('notes').insert({ text: 'new', pages: '{}' });

    const { stdout } = await restoring(portal);

    expect(stdout).toContain('books notes: 3 rows are back');
    await expect(knex('notes').orderBy('text').pluck('text')).resolves.toEqual([
      ...['new', 'note 0', 'note 0', 'note 1', 'note 1', 'note 2', 'note 2'],
    ]);
  });

  it('sets back what an UPDATE without WHERE has changed, for named tables', async () => {
    const { portal, knex } = await startBooks();
    await knex('books').update({ title: 'oops' });
    await knex('books').insert({ title: 'new' });

    const unnamed = await restoring(portal, '--replace');
    const alone = await restoring(portal, '--plugin', 'books.books');
    const before = await titles(knex);
    const { stdout } = await restoring(
      portal,
      '--replace',
      '--plugin',
      'books.books',
    );

    expect(unnamed).toMatchObject({ exitCode: 2 });
    expect(alone.stdout).not.toContain('as they were');
    expect(before[0]).toBe('oops');
    expect(stdout).toContain('10 are as they were');
    await expect(titles(knex)).resolves.toEqual([
      ...Array.from({ length: 10 }, (_, index) => `title ${index + 1}`),
      'new',
    ]);
  });

  it.each(['schema', 'database'])(
    'makes dropped tables again, with all that belonged to them (%s)',
    async pluginDivisionMode => {
      const { portal, knex } = await startBooks({ pluginDivisionMode });
      await knex.raw('drop table authors cascade');
      await knex.raw('drop table books');

      const { stdout } = await restoring(portal);

      expect(stdout).toMatch(/books authors: made again, 2 rows are back/);
      await expect(
        knex('books').where('upper', 'TITLE 7'),
      ).resolves.toHaveLength(1);
      await knex('books').insert({ title: 'next', author: 1 });
      await knex('authors').insert({ name: 'next' });
      await expect(knex('authors').max('id')).resolves.toEqual([{ max: 3 }]);
      await knex('authors').where('id', 1).delete();
      await expect(titles(knex)).resolves.toHaveLength(5);
      const { rows } = await knex.raw<{ rows: object[] }>(
        `select from pg_indexes where indexname = 'titles'`,
      );
      expect(rows).toHaveLength(1);
    },
  );

  it('says where the schema differs, and brings back what still fits', async () => {
    const { portal, knex } = await startBooks();
    await knex.raw(
      `alter table books drop column upper; alter table books add column pages int default 7`,
    );
    await knex('books').delete();

    const { stdout } = await portal.undo();
    await restoring(portal);

    expect(stdout).toContain(
      'without upper, which it has no more; pages came since, and is not compared',
    );
    await expect(knex('books').where('pages', 7)).resolves.toHaveLength(10);
  });

  it('changes nothing where a row cannot come back as it was', async () => {
    const { portal, knex } = await startBooks();
    await knex('books').delete();
    await knex('authors').delete();
    await knex.raw('alter table books add column required int not null');

    const { exitCode, stderr } = await restoring(portal);

    expect(exitCode).toBe(3);
    expect(stderr).toContain('required');
    await expect(knex('authors')).resolves.toEqual([]);
  });

  it('leaves rows out whose place is taken, or whose parent is not there, and says so', async () => {
    const { portal, knex } = await startBooks();
    await knex.raw('create unique index names on authors (name)');
    await knex.raw('delete from authors where id = 1');
    await knex.raw(`insert into authors (name) values ('a')`);

    const { exitCode, stdout } = await restoring(portal);

    expect(exitCode).toBe(1);
    expect(stdout).toContain('books authors: 1 rows are not back');
    expect(stdout).toContain('books books: 5 rows are not back');
  });

  it('brings the catalog back as its portal shows it', async () => {
    const portal = await start();
    const knex = await portal.knexOf('catalog');
    await knex.migrate.latest({ directory: migrationsOf('catalog') });
    await fillCatalog(knex, 32);
    await portal.remember();
    await knex.raw('update final_entities set generation = 40');
    await knex('final_entities').delete();
    await knex.raw(`
      insert into refresh_state (entity_id, entity_ref, unprocessed_entity, errors, next_update_at, last_discovery_at)
        values ('id-new', 'component:default/new', '{}', '[]', now(), now());
      insert into final_entities (entity_id, entity_ref, hash, final_entity)
        values ('id-new', 'component:default/new', 'x', '{}')`);
    const [{ count: searched }] = await knex('search').count();

    const { stdout, exitCode } = await restoring(
      portal,
      '--plugin',
      'catalog.final_entities',
    );

    expect(exitCode).toBe(0);
    expect(searched).toBe('0');
    expect(stdout).toContain('catalog final_entities: 32 rows are back');
    expect(stdout).toContain('catalog search: 960 rows are back');
    await expect(knex('final_entities').count()).resolves.toEqual([
      { count: '33' },
    ]);
    const generations = await knex('final_entities').pluck('generation');
    expect(new Set(generations).size).toBe(33);
  });

  it('takes no number that the database gives itself for a change', async () => {
    const portal = await start();
    const knex = await portal.knexOf('catalog');
    await knex.migrate.latest({ directory: migrationsOf('catalog') });
    await fillCatalog(knex, 3);
    await knex('refresh_state_references').insert({
      source_key: 'file',
      target_entity_ref: 'component:default/component-1',
    });
    await portal.remember();
    await knex.raw('update final_entities set final_entity = final_entity');
    await knex.raw(
      'with gone as (delete from refresh_state_references returning source_key, target_entity_ref) insert into refresh_state_references (source_key, target_entity_ref) select * from gone',
    );

    const { stdout } = await portal.undo();

    expect(stdout).toBe('Nothing is gone or changed\n');
  });

  it('leaves the search rows of an entity alone that was stitched again since', async () => {
    const portal = await start();
    const knex = await portal.knexOf('catalog');
    await knex.migrate.latest({ directory: migrationsOf('catalog') });
    await fillCatalog(knex, 3);
    await portal.remember();
    await knex('search').whereIn('entity_id', ['id-1', 'id-2']).delete();
    await knex('final_entities')
      .where('entity_id', 'id-1')
      .update({ hash: 'newer' });
    await knex('search').insert({
      entity_id: 'id-1',
      key: 'kind',
      value: 'newer',
    });

    const { exitCode } = await restoring(portal, '--plugin', 'catalog');

    expect(exitCode).toBe(0);
    await expect(
      knex('search').where('entity_id', 'id-1'),
    ).resolves.toHaveLength(1);
    await expect(
      knex('search').where('entity_id', 'id-2'),
    ).resolves.toHaveLength(30);
  });

  it.each(['schema', 'database'])(
    'brings several plugins back at once (%s)',
    async pluginDivisionMode => {
      const portal = await start({ pluginDivisionMode });
      const plugins = ['films', 'books'];
      const knexes = await Promise.all(plugins.map(it => portal.knexOf(it)));
      for (const knex of knexes) {
        await knex.raw(
          'create table items (id int primary key); insert into items values (1), (2)',
        );
      }
      await portal.remember();
      for (const knex of knexes) await knex('items').delete();

      const { stdout } = await restoring(portal);

      expect(stdout).toContain('films items: 2 rows are back');
      for (const knex of knexes) {
        await expect(knex('items').pluck('id')).resolves.toEqual([1, 2]);
      }
    },
  );

  it('leaves alone what a portal writes meanwhile', async () => {
    const { portal, knex } = await startBooks();
    await knex('books').where('id', '<=', 5).delete();
    const controller = new AbortController();
    const written: string[] = [];
    const write = async () => {
      while (!controller.signal.aborted) {
        const title = `written ${written.length}`;
        await knex('books').insert({ title });
        await knex('books').where({ title }).update({ author: 2 });
        written.push(title);
      }
    };

    const writing = write();
    const { stdout } = await restoring(portal);
    controller.abort();
    await writing;

    expect(stdout).toContain('books books: 5 rows are back');
    const all = (await titles(knex)) as string[];
    expect(all.filter(it => it.startsWith('title'))).toHaveLength(10);
    expect(all.filter(it => it.startsWith('written'))).toEqual(written);
  });

  it('makes the branch of the moment, finds it again, and says what the window allows', async () => {
    const portal = await start({ pluginDivisionMode: 'schema' }, true);
    const knex = await portal.knexOf('books');
    await knex.raw(
      'create table books (id int primary key); insert into books values (1)',
    );
    const at = await portal.moment();
    await knex('books').delete();

    const first = await portal.at(at);
    const second = await portal.at(at, '--restore');
    const early = await portal.at('2020-01-01T00:00:00Z');

    expect(first.stderr).toMatch(/The project keeps \d+d.*: moments since 20/);
    expect(first.stdout).toMatch(/^books +books +1 +0 +1 +0 +0$/m);
    expect(second.exitCode).toBe(0);
    await expect(knex('books')).resolves.toEqual([{ id: 1 }]);
    expect(early.exitCode).not.toBe(0);
    expect(portal.emulator.controlPlane.count('createBranch')).toBe(1);
  });

  it('tells how to go back as a whole, and what that loses', async () => {
    const { portal, knex } = await startBooks();
    await knex('books').insert({ title: 'new' });

    const { stdout } = await portal.undo('--repoint');

    expect(stdout).toContain(
      'loses what came since: 1 new rows, and 0 changes',
    );
    expect(stdout).toContain(`endpoint: ${nameOf('before')}/endpoints/primary`);
  });

  it('refuses what it cannot mean, and production for the past', async () => {
    const { portal } = await startBooks();
    const cases: [args: string[], problem: string][] = [
      [['--plugin', 'films'], "There was no table of plugin 'films' then"],
      [
        ['--plugin', 'books.films'],
        "There was no table films of plugin 'books' then",
      ],
      [['--at', '-5m'], '--at and --branch both say'],
      [['--replace'], '--replace is for --restore'],
      [['--backend', 'portal'], "--backend 'portal' is no URL"],
      [
        ['--backend', 'http://portal.company.com'],
        'the token in BACKSTAGE_TOKEN goes nowhere else',
      ],
    ];

    for (const [args, problem] of cases) {
      const { exitCode, stderr } = await portal.undo(...args);
      expect(stderr).toContain(problem);
      expect(exitCode).toBe(2);
    }
    const there = await portal.run('undo', '--branch', 'production');
    expect(there.exitCode).toBe(3);
    expect(there.stderr).toContain(
      'does not show the past: the configuration points at it',
    );
  });

  it('changes nothing where there is no room for the branch', async () => {
    const { portal } = await startBooks();
    portal.emulator.controlPlane.branchChanges.limit = 1;

    const { exitCode, stderr } = await portal.at('-1s');

    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/limit|branches/);
  });

  it.each(['interrupted', 'cut off'])(
    'changes nothing where it is %s in the middle',
    async how => {
      const { portal, knex } = await startBooks();
      await knex('books').delete();
      const { gateway } = portal.emulator;
      const controller = new AbortController();
      const copying = new Promise<void>(resolve => {
        gateway.on('statement', sql => {
          if (sql.includes('ANALYZE')) resolve();
        });
      });

      const running = portal.interruptible(controller.signal, '--restore');
      await copying;
      if (how === 'interrupted') controller.abort();
      else await gateway.dropConnections('reset');

      await expect(running).resolves.toMatchObject({
        exitCode: how === 'interrupted' ? 130 : 3,
      });
      await expect(titles(knex)).resolves.toEqual([]);
    },
  );
});

import type { Knex } from 'knex';
import { FakeClock } from '../../testbed/fakeClock';
import { lakebaseTests } from '../support/lakebase';

const start = lakebaseTests();
const schemaMode = { pluginDivisionMode: 'schema' };

const migrations = (...names: string[]): Knex.MigratorConfig => ({
  migrationSource: {
    getMigrations: () => Promise.resolve(names),
    getMigrationName: (name: string) => name,
    getMigration: (name: string) =>
      Promise.resolve({
        up: async (knex: Knex) => {
          await knex.raw('create table if not exists books (id int)');
          await knex.raw('alter table books add column ?? int', name);
        },
        down: () => Promise.resolve(),
      }),
  },
});

describe('the start of a backend', () => {
  it('tells of each plugin that migrated, with number and time, and of no other', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode);
    const catalog = await lakebase.getClient('catalog');
    await lakebase.getClient('search');
    await catalog.migrate.latest(migrations('1', '2'));
    await catalog.migrate.latest(migrations('1', '2', '3'));

    await lakebase.announce();

    const told = lakebase.lines.filter(({ message }) =>
      message.includes('migration'),
    );
    expect(told).toEqual([
      {
        level: 'info',
        message: expect.stringMatching(
          /^Plugin 'catalog' ran 3 migrations in \d+\.\d s$/,
        ) as string,
      },
    ]);
  });

  it('tells after ten seconds which migration waits, and for whom', async () => {
    const emulator = await start.emulator();
    const clock = new FakeClock();
    const lakebase = start.lakebase(emulator, schemaMode, { clock });
    const knex = await lakebase.getClient('catalog');
    await knex.migrate.latest(migrations('1'));
    const other = await lakebase.getClient('search');
    const holder = await other.transaction();
    await holder.raw('lock table catalog.books in access share mode');
    const { rows } = await holder.raw<{ rows: { pid: number }[] }>(
      'select pg_backend_pid() as pid',
    );

    const running = knex.migrate.latest(migrations('1', '2'));
    await waitingForLock(emulator);
    await clock.advance(9_999);
    expect(lakebase.lines.filter(isSlow)).toEqual([]);
    await clock.advance(1);
    const { message, level } = await lakebase.logged(/take longer/);
    await holder.rollback();
    await running;

    expect(level).toBe('warn');
    expect(message).toMatch(
      new RegExp(
        `^Migrations of plugin 'catalog' take longer than 10 s, now 2: "alter table books add column "2" int" waits for process ${rows[0].pid} \\(.*idle in transaction\\) since 20`,
      ),
    );
    await clock.advance(60_000);
    expect(lakebase.lines.filter(isSlow)).toHaveLength(1);
  });
});

const isSlow = ({ message }: { message: string }) =>
  message.includes('take longer');

/** Until a session of the endpoint waits for a lock. */
async function waitingForLock(emulator: {
  query(sql: string): Promise<Record<string, unknown>[]>;
}) {
  for (;;) {
    const [{ waiting }] = await emulator.query(
      `select count(*)::int as waiting from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
    );
    if (waiting) return;
  }
}

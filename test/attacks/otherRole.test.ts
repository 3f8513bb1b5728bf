import type { Emulator } from '../../emulator';
import { findCure } from '../../src/connections/cures';
import { commandLine, configFiles } from '../cli/commandLine';
import { lakebaseTests } from '../support/lakebase';

// Another role that may create in a database which the backend uses.
const start = lakebaseTests();
const files = configFiles();

/** Says who called it, in a table that all may write to. */
const body = (result: string) => `LANGUAGE plpgsql AS $trap$ BEGIN
  INSERT INTO public.caught VALUES (current_user, current_query());
  RETURN ${result}; END $trap$`;

const TRAPS = [
  `FUNCTION public.starts_with(name, text) RETURNS boolean ${body('true')}`,
  `FUNCTION public.has_database_privilege(name, text) RETURNS boolean ${body('true')}`,
  `FUNCTION public.has_schema_privilege(oid, unknown_text) RETURNS boolean ${body('true')}`,
  `FUNCTION public.split_part(text, text, integer) RETURNS text ${body("''")}`,
  `FUNCTION public.pg_get_userbyid(integer) RETURNS name ${body("''")}`,
  `FUNCTION public.pg_advisory_xact_lock(integer) RETURNS void ${body('')}`,
  `FUNCTION public.quote_ident(name) RETURNS text ${body("''")}`,
  `FUNCTION public.pick(name, name) RETURNS name ${body('$1')}`,
  `AGGREGATE public.min(name) (SFUNC = public.pick, STYPE = name)`,
  `FUNCTION public.same(name, text) RETURNS boolean ${body('true')}`,
  `OPERATOR public.= (LEFTARG = name, RIGHTARG = text, FUNCTION = public.same)`,
];

async function layTraps(emulator: Emulator, database?: string) {
  await emulator.query(
    `CREATE TABLE public.caught (who text, statement text);
     GRANT INSERT ON public.caught TO PUBLIC;
     CREATE DOMAIN public.unknown_text AS text;`,
    [],
    database,
  );
  for (const trap of TRAPS)
    await emulator.query(`CREATE ${trap}`, [], database);
}

const caught = (emulator: Emulator, database?: string) =>
  emulator.query('SELECT * FROM public.caught', [], database);

describe('functions, aggregates and operators of others', () => {
  const DATABASE = 'attack_catalog';

  it('are not called by the doctor, in one database', async () => {
    const emulator = await start.emulator();
    await layTraps(emulator);
    const file = await files.leadingTo(emulator);

    const { stdout } = await commandLine(['doctor', '--config', file]);
    await commandLine(['psql', 'catalgo', '--config', file]);

    expect(await caught(emulator)).toEqual([]);
    expect(stdout).toContain('Fit to start');
  });

  it('are not called by the doctor, in a database of a plugin', async () => {
    const emulator = await start.emulator();
    await emulator.query(`CREATE DATABASE ${DATABASE}`);
    await layTraps(emulator, DATABASE);
    const file = await files.leadingTo(emulator, {
      pluginDivisionMode: 'database',
      prefix: 'attack_',
    });

    await commandLine(['doctor', '--config', file]);
    const found = await caught(emulator, DATABASE);
    await emulator.query(`DROP DATABASE ${DATABASE} WITH (FORCE)`);

    expect(found).toEqual([]);
  });

  it('are not called by the backend, nor by its migrations', async () => {
    const emulator = await start.emulator();
    await emulator.query(`CREATE DATABASE ${DATABASE}`);
    await layTraps(emulator, DATABASE);
    await emulator.query(
      'GRANT CREATE ON SCHEMA public TO PUBLIC',
      [],
      DATABASE,
    );
    const lakebase = start.lakebase(emulator, {
      pluginDivisionMode: 'database',
      prefix: 'attack_',
    });

    const knex = await lakebase.getClient('catalog');
    await knex.migrate.latest({
      directory: `${__dirname}/../support`,
      loadExtensions: ['.none'],
    });
    await lakebase.announce();
    const found = await caught(emulator, DATABASE);
    await lakebase.stop();
    await emulator.query(`DROP DATABASE ${DATABASE} WITH (FORCE)`);

    expect(found).toEqual([]);
  });

  it('could not change anything: the doctor only looks', async () => {
    const emulator = await start.emulator();
    const file = await files.leadingTo(emulator);
    const before = await emulator.query('SELECT pg_current_xact_id()::text');

    await commandLine(['doctor', '--config', file]);

    const [{ id }] = (await emulator.query(
      `SELECT pg_current_xact_id()::text::bigint -
         ${String(Object.values(before[0])[0])} AS id`,
    )) as { id: string }[];
    // This query's own.
    expect(id).toBe('1');
  });
});

describe('a name that is SQL', () => {
  const NAMES = [
    'a: ALTER ROLE eve SUPERUSER; SELECT 1',
    'a$$;ALTER ROLE eve SUPERUSER;--',
    'a$q1$ $$;ALTER ROLE eve SUPERUSER;--',
    `a'; ALTER ROLE eve SUPERUSER; --`,
    'a"; ALTER ROLE eve SUPERUSER; --',
    "a\\'; ALTER ROLE eve SUPERUSER; --",
  ];

  it.each(NAMES)(
    'does nothing when the cure for it is pasted: %s',
    async name => {
      const emulator = await start.emulator();
      await emulator.createRole('eve');
      const site = { user: name, database: name, schema: name };
      const refusals = [
        `must be owner of table ${name}`,
        `must be owner of function ${name}.${name}`,
        `must be owner of schema ${name}`,
        `permission denied for schema ${name}`,
        `permission denied for table ${name}`,
        `permission denied for database ${name}`,
        'permission denied to create database',
      ];
      const statements = refusals.flatMap(
        message =>
          findCure({ code: '42501', message, detail: '', hint: '' }, site)
            ?.statements ?? [],
      );

      expect(statements.length).toBeGreaterThan(refusals.length);
      for (const statement of statements) {
        // A terminal would run what comes after the end of a text on its own.
        const [, mark, text] = /^DO (\$\w*\$)(.*)$/s.exec(statement) ?? [];
        expect(mark ? text.indexOf(mark) : -1).toBe(
          mark ? text.length - mark.length - 1 : -1,
        );
        // There is nothing of that name to grant or to hand over.
        await expect(emulator.query(statement)).rejects.toThrow();
      }
      const [eve] = await emulator.query(
        "SELECT rolsuper FROM pg_roles WHERE rolname = 'eve'",
      );
      expect(eve).toEqual({ rolsuper: false });
    },
  );

  it('speaks to no terminal and forges no line', async () => {
    const emulator = await start.emulator();
    const forged = 'a\n\x1b[2Kok       login           all is well';
    await emulator.query('CREATE SCHEMA catalog');
    await emulator.query('CREATE TABLE catalog.knex_migrations (id int)');
    await emulator.query(`CREATE TABLE catalog."${forged}" (id int)`);
    await emulator.query('GRANT ALL ON SCHEMA catalog TO PUBLIC');
    const file = await files.leadingTo(emulator);

    const { stdout } = await commandLine(['doctor', '--config', file]);

    expect(stdout).toContain('belongs to');
    expect(stdout).not.toContain('\x1b');
    expect(stdout).not.toMatch(/^ok .*all is well/m);
  });
});

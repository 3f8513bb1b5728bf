import { escapeIdentifier } from 'pg';
import { cureLackOf } from '../../connections/cures';
import type { OpenDatabase } from '../databaseAccess';
import { explainFailure } from '../explainFailure';
import { Check, Examination, fail, Finding, ok, PluginTables } from './check';
import { adminDatabaseCheck } from './databaseChecks';
import { findTables } from './findTables';

/** Whether the backend may change the tables that are there. */
export const ownershipCheck: Check = {
  title: 'ownership',
  needs: [adminDatabaseCheck.title],
  async run(examination) {
    examination.tables ??= await findTables(examination);
    const findings: Finding[] = [];
    for (const tables of examination.tables) {
      const finding = await examine(tables, examination);
      if (finding) findings.push(finding);
    }
    if (findings.length > 0) return findings;
    const { length } = examination.tables;
    return ok(
      length === 0
        ? 'No plugin has tables yet'
        : `The tables of ${length} ${length === 1 ? 'plugin' : 'plugins'} may be changed`,
    );
  },
};

interface Rights {
  usable: boolean;
  owner: string;
  database_owner: string;
  foreign_tables: number;
  foreign_table: string | null;
  /** One of them: the first by name, as if all had the same. */
  table_owner: string | null;
}

const RIGHTS = `
  SELECT
    pg_get_userbyid(nspowner) AS owner,
    (SELECT pg_get_userbyid(datdba) FROM pg_database
      WHERE datname = current_database()) AS database_owner,
    has_schema_privilege(pg_namespace.oid, 'USAGE')
      AND has_schema_privilege(pg_namespace.oid, 'CREATE') AS usable,
    count(relname)::int AS foreign_tables,
    min(relname) AS foreign_table,
    min(pg_get_userbyid(relowner)) AS table_owner
  FROM pg_namespace LEFT JOIN pg_class
    ON relnamespace = pg_namespace.oid AND relkind IN ('r', 'p', 'S', 'v', 'm')
      AND NOT pg_has_role(relowner, 'USAGE')
  WHERE nspname = $1 GROUP BY pg_namespace.oid`;

async function examine(
  { database: name, schema, plugin }: PluginTables,
  { access }: Examination,
): Promise<Finding | undefined> {
  let database: OpenDatabase;
  try {
    database = await access.open(name, plugin);
  } catch (error) {
    return fail(explainFailure(error));
  }
  const { target } = database;
  const [rights] = await database.rows<Rights>(RIGHTS, [schema]);
  const { schemaMode } = access.settings;
  if (!rights.usable) {
    return schemaMode
      ? {
          ...fail(cureLackOf.schemaOwnership({ ...target, schema }, schema)),
          message: `Schema ${schema} belongs to ${rights.owner}`,
        }
      : lackOfDatabase(name, rights, target.role ?? target.user);
  }
  if (rights.foreign_table === null) return undefined;
  const cure = cureLackOf.tableOwnership(
    { ...target, schema },
    rights.foreign_table,
  );
  const where = schemaMode ? `schema ${schema}` : `database ${name}`;
  const message =
    `Table ${rights.foreign_table} in ${where} belongs to ${rights.table_owner}` +
    (rights.foreign_tables > 1
      ? `, and ${rights.foreign_tables - 1} more`
      : '');
  return { ...fail(cure), message };
}

const lackOfDatabase = (
  name: string,
  { database_owner }: Rights,
  role: string,
): Finding =>
  fail({
    problem: `Database ${name} belongs to ${database_owner}`,
    remedy: 'Run as member of both roles, or have its owner grant rights',
    statements: [
      `ALTER DATABASE ${escapeIdentifier(name)} OWNER TO ${escapeIdentifier(role)};`,
    ],
  });

import { escapeIdentifier } from 'pg';
import type { Session } from '../endpointAccess';
import { Check, Examination, Finding, ok, Place } from './check';
import { failureOf } from './failureOf';
import { adminDatabaseCheck, refusalOf } from './databaseChecks';
import { findPlaces } from './places';

/** Whether the backend may change the tables that are there. */
export const ownershipCheck: Check = {
  title: 'ownership',
  needs: [adminDatabaseCheck.title],
  async run(examination) {
    examination.places ??= await findPlaces(examination);
    const { places } = examination;
    const findings: Finding[] = [];
    for (const place of places) {
      findings.push(...(await examine(place, examination)));
    }
    if (findings.length > 0) return findings;
    const { length } = places;
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
  WHERE nspname = ? GROUP BY pg_namespace.oid`;

async function examine(
  { database, schema, settings }: Place,
  { access }: Examination,
): Promise<Finding[]> {
  let session: Session;
  try {
    session = await access.open(database, settings);
  } catch (error) {
    return [failureOf(error)];
  }
  const [rights] = await session.rows<Rights>(RIGHTS, [schema]);
  const { owner, database_owner } = rights;
  const { user, role = user } = session.target;
  if (!rights.usable && access.schemaMode) {
    const message = `Schema ${schema} belongs to ${owner}`;
    const cure = refusalOf(
      `must be owner of schema ${schema}`,
      session,
      schema,
    );
    return [{ ...cure, message }];
  }
  if (!rights.usable) {
    return [
      {
        status: 'fail',
        message: `Database ${database} belongs to ${database_owner}`,
        cure: 'Run as member of both roles, or have its owner grant rights:',
        paste: [
          `ALTER DATABASE ${escapeIdentifier(database)} OWNER TO ${escapeIdentifier(role)};`,
        ],
      },
    ];
  }
  if (rights.foreign_table === null) return [];
  const cure = refusalOf(
    `must be owner of table ${rights.foreign_table}`,
    session,
    schema,
  );
  const where = access.schemaMode ? `schema ${schema}` : `database ${database}`;
  const message =
    `Table ${rights.foreign_table} in ${where} belongs to ${rights.table_owner}` +
    (rights.foreign_tables > 1
      ? `, and ${rights.foreign_tables - 1} more`
      : '');
  return [{ ...cure, message }];
}

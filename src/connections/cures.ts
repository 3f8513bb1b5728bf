import {
  type Client,
  type DatabaseError,
  escapeIdentifier as quoted,
  escapeLiteral,
} from 'pg';
import { wireOf } from './pgWire';
import type { ConnectionTarget } from './postgresFaults';

/** Who lacks a right, and where. */
type Place = Pick<ConnectionTarget, 'user' | 'database' | 'role'> & {
  /** Where the plugin's tables are. */
  schema?: string;
};

type Refusal = Pick<DatabaseError, 'code' | 'detail' | 'hint' | 'message'>;

/** Names, ready to be put into a statement. */
interface Names {
  login: string;
  /** As whom statements run: the role, or the login without one. */
  grantee: string;
  database: string;
  schema: string;
}

interface Cure {
  /** Postgres's whole text, whose groups are handed to `explain`. */
  text: RegExp;
  codes?: string[];
  matches?(refusal: Refusal): boolean;
  /** What to do; ends with the statements, and nothing after them. */
  explain(names: Names, ...groups: string[]): string;
}

/** What a table's owner may do, but for MAINTAIN, which Postgres 16 lacks. */
const ALL_ON_TABLES =
  'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER';
const ALL_ON_SEQUENCES = 'USAGE, SELECT, UPDATE';

/**
 * Postgres says neither which right on a table is missing nor whether more
 * are, so that all of them are granted at once, on what comes later too. That
 * holds for what the one who runs it creates, whose name is not known here.
 */
const contentsOf = (schema: string, grantee: string) =>
  [
    `GRANT ${ALL_ON_TABLES} ON ALL TABLES IN SCHEMA ${schema} TO ${grantee}`,
    `GRANT ${ALL_ON_SEQUENCES} ON ALL SEQUENCES IN SCHEMA ${schema} TO ${grantee}`,
    `ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT ${ALL_ON_TABLES} ON TABLES TO ${grantee}`,
    `ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT ${ALL_ON_SEQUENCES} ON SEQUENCES TO ${grantee};`,
  ].join('; ');

const openSchema = ({ grantee, database }: Names, schema: string) =>
  `${grantee} lacks rights in schema ${schema}. Run in database ${database}, as ` +
  `owner of that schema and its tables: ` +
  `GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${grantee}; ` +
  contentsOf(schema, grantee);

/** Without SET, an earlier membership that excludes it would stay as it is. */
const membership = (role: string, login: string) =>
  `GRANT ${role} TO ${login} WITH SET TRUE;`;

const onDatabase = (rights: string, { database }: Names, grantee: string) =>
  `GRANT ${rights} ON DATABASE ${database} TO ${grantee};`;

/**
 * REASSIGN OWNED moves tables, sequences, views, functions and databases alike,
 * where ALTER ... OWNER TO would cure one object, and the next one would fail.
 * Postgres doesn't name the old owner, and once a transaction is aborted it
 * can't be asked, so that the statement looks it up.
 */
function handOver(
  { grantee, database }: Names,
  object: string,
  oldOwner: string,
): string {
  return (
    `${grantee} must own what it changes; a shared backend.database.role spares ` +
    `this. Run in database ${database}, as member of both roles, to hand over ` +
    `all that the owner of ${object} owns there, and its databases: ` +
    `DO $$ BEGIN EXECUTE format('REASSIGN OWNED BY %s TO %s', ` +
    `(${oldOwner}), ${escapeLiteral(grantee)}); END $$;`
  );
}

/** Catalogs whose objects lie in a schema, and the prefix of their columns. */
const CATALOGS: Record<string, [catalog: string, prefix: string]> = {
  function: ['pg_proc', 'pro'],
  procedure: ['pg_proc', 'pro'],
  type: ['pg_type', 'typ'],
  'statistics object': ['pg_statistic_ext', 'stx'],
};
const RELATIONS: [string, string] = ['pg_class', 'rel'];

/** The first one that matches decides. What is Postgres's own nobody grants. */
const CURES: Cure[] = [
  {
    text: /^permission denied to set role ["'](.+)["']$/s,
    explain: ({ login }, name) =>
      `${login} may not become ${quoted(name)} (backend.database.role). Run as ` +
      `an administrator of that role: ${membership(quoted(name), login)}`,
  },
  {
    text: /^role ["'](.+)["'] does not exist$/s,
    codes: ['22023'],
    explain: (names, name) =>
      `There is no role ${quoted(name)} (backend.database.role). Run as an ` +
      `administrator: CREATE ROLE ${quoted(name)} NOLOGIN; ` +
      `${membership(quoted(name), names.login)} ` +
      onDatabase('CONNECT, CREATE, TEMPORARY', names, quoted(name)),
  },
  {
    text: /^permission denied to create database$/,
    explain: ({ grantee }) =>
      `${grantee} may not create databases. Create them ahead with ${grantee} as ` +
      'their owner, or put all plugins into one with ' +
      'backend.database.pluginDivisionMode: schema, or run as an ' +
      `administrator: ALTER ROLE ${grantee} CREATEDB;`,
  },
  {
    // The login needs this right itself: it has no role yet.
    text: /^permission denied for database/,
    matches: ({ detail }) => /CONNECT/.test(detail ?? ''),
    explain: names => {
      const { login, grantee, database } = names;
      const grants =
        login === grantee
          ? onDatabase('CONNECT, CREATE, TEMPORARY', names, login)
          : `${onDatabase('CONNECT', names, login)} ` +
            onDatabase('CREATE, TEMPORARY', names, grantee);
      return `${login} may not connect to database ${database}. Run as its owner: ${grants}`;
    },
  },
  {
    text: /^permission denied (for database|to create temporary tables in database)/,
    explain: names =>
      `${names.grantee} lacks rights on database ${names.database}. Run as its ` +
      `owner: ${onDatabase('CONNECT, CREATE, TEMPORARY', names, names.grantee)}`,
  },
  {
    text: /^permission denied to create extension/,
    matches: ({ hint }) => /CREATE privilege/.test(hint ?? ''),
    explain: names =>
      `${names.grantee} may not create extensions in database ` +
      `${names.database}. Run as its owner: ` +
      onDatabase('CREATE', names, names.grantee),
  },
  {
    text: /^permission denied to create extension "(.+)"$/s,
    explain: ({ grantee, database, schema }, name) =>
      // Elsewhere, a search path of this one schema would not find it.
      `${grantee} may not create this extension. Run in database ${database}, as ` +
      `member of databricks_superuser: CREATE EXTENSION IF NOT EXISTS ` +
      `${quoted(name)} SCHEMA ${schema};`,
  },
  {
    text: /^permission denied for schema (?!pg_)(.+)$/s,
    explain: (names, name) => openSchema(names, quoted(name)),
  },
  {
    // What CREATE TABLE says where the search path's schema may not be used.
    text: /^no schema has been selected to create in$/,
    codes: ['3F000'],
    explain: names =>
      `If schema ${names.schema} exists, ${openSchema(names, names.schema)}`,
  },
  {
    text: /^permission denied for (?:table|view|materialized view|foreign table|sequence) (?!pg_)/,
    explain: ({ grantee, database, schema }) =>
      `${grantee} lacks rights in schema ${schema}. Run in database ${database}, ` +
      `as owner of its tables: ${contentsOf(schema, grantee)}`,
  },
  {
    text: /^must be owner of schema (.+)$/s,
    explain: (names, name) =>
      handOver(
        names,
        `schema ${quoted(name)}`,
        `SELECT nspowner::regrole FROM pg_namespace WHERE nspname = ${escapeLiteral(name)}`,
      ),
  },
  {
    text: /^must be owner of (table|index|sequence|view|materialized view|foreign table|relation) (.+)$/s,
    explain: (names, kind, name) =>
      handOver(
        names,
        `${kind} ${quoted(name)}`,
        ownerOf(RELATIONS, name, names.schema),
      ),
  },
  {
    // These come with the schema, where the statement had it.
    text: /^must be owner of (function|procedure|type|statistics object) (?:(.+)\.)?([^.]+)$/s,
    explain: (names, kind, schema, name) =>
      handOver(
        names,
        `${kind} ${quoted(name)}`,
        ownerOf(CATALOGS[kind], name, schema ? quoted(schema) : names.schema),
      ),
  },
];

function ownerOf(
  [catalog, prefix]: [string, string],
  name: string,
  schema: string,
): string {
  return (
    `SELECT ${prefix}owner::regrole FROM ${catalog} ` +
    `WHERE ${prefix}name = ${escapeLiteral(name)} ` +
    `AND ${prefix}namespace = ${escapeLiteral(schema)}::regnamespace LIMIT 1`
  );
}

const INSUFFICIENT_PRIVILEGE = ['42501'];

/** Which statement gives the right whose lack Postgres told. */
export function cureOf(refusal: Refusal, place: Place): string | undefined {
  for (const cure of CURES) {
    const { text, codes = INSUFFICIENT_PRIVILEGE } = cure;
    if (!codes.includes(refusal.code ?? '')) continue;
    const groups = text.exec(refusal.message);
    if (groups && (cure.matches?.(refusal) ?? true)) {
      return cure.explain(namesOf(place), ...groups.slice(1));
    }
  }
  return undefined;
}

/** What to do about other refusals that a statement meets, by SQLSTATE. */
const ADVICE: Record<string, string> = {
  25006:
    'Where the plugin did not ask for a transaction that only reads, point ' +
    'backend.database.lakebase.endpoint and backend.database.connection.host ' +
    'to the read-write endpoint of the branch, not to a replica or -ro host',
  '57P01':
    'The endpoint was suspended, resized or failed over: try again, for the ' +
    'next query gets a new connection',
};

const namesOf = ({ user, role, database, schema = 'public' }: Place) => ({
  login: quoted(user),
  grantee: quoted(role ?? user),
  database: quoted(database),
  schema: quoted(schema),
});

/**
 * Adds its cure to what Postgres refuses on this connection, for lack of a
 * right above all: a migration's error is shown to the operator as it is.
 *
 * To the message, since that is what Backstage prints of an error that stops
 * a start. At the protocol, since there the text is still Postgres's own
 * (Knex puts the statement and its values in front), and since no event of
 * Knex tells of streams and raw connections.
 */
export function explainRefusals(
  connection: Client,
  target: ConnectionTarget,
  searchPath: string | readonly string[] = [],
): void {
  // "$user" stands for a schema that a plugin's login does not have.
  const schema = [searchPath].flat().find(name => name !== '$user');
  const place = { ...target, schema };
  // Ahead of pg's own listener, which ends the query.
  wireOf(connection).prependListener('errorMessage', error => {
    const cure = cureOf(error, place) ?? ADVICE[error.code ?? ''];
    if (cure) error.message += `. ${cure}`;
  });
}

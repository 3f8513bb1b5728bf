import {
  type DatabaseError,
  escapeIdentifier as quoted,
  escapeLiteral,
} from 'pg';
import type { Explanation } from '../errors';
import { shortened } from '../texts';

/** As whom a statement was refused, and where. */
export interface RefusalSite {
  user: string;
  role?: string;
  database: string;
  /** Where the plugin's tables are; `public` without it. */
  schema?: string;
}

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
  explain(names: Names, ...groups: string[]): Explanation;
}

/** What a table's owner may do, but for MAINTAIN, which Postgres 16 lacks. */
const ALL_ON_TABLES =
  'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER';
const ALL_ON_SEQUENCES = 'USAGE, SELECT, UPDATE';

const namesAt = ({ user, role, database, schema = 'public' }: RefusalSite) => ({
  login: quoted(user),
  grantee: quoted(role ?? user),
  database: quoted(database),
  schema: quoted(schema),
});

/**
 * Postgres reports neither which right on a table is missing nor whether more
 * are, so all of them are granted at once, on later tables as well. Those of
 * later tables hold for what the grantor creates, whose name is unknown here.
 */
const grantContents = (schema: string, grantee: string) => [
  `GRANT ${ALL_ON_TABLES} ON ALL TABLES IN SCHEMA ${schema} TO ${grantee};`,
  `GRANT ${ALL_ON_SEQUENCES} ON ALL SEQUENCES IN SCHEMA ${schema} TO ${grantee};`,
  `ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT ${ALL_ON_TABLES} ON TABLES TO ${grantee};`,
  `ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT ${ALL_ON_SEQUENCES} ON SEQUENCES TO ${grantee};`,
];

const openSchema = (
  { grantee, database }: Names,
  schema: string,
): Explanation => ({
  problem: `${grantee} lacks rights in schema ${schema}`,
  remedy: `Run in database ${database}, as owner of that schema and its tables`,
  statements: [
    `GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${grantee};`,
    ...grantContents(schema, grantee),
  ],
});

/** Without SET, an earlier membership that excludes it would stay as it is. */
const grantMembership = (role: string, login: string) =>
  `GRANT ${role} TO ${login} WITH SET TRUE;`;

const grantOnDatabase = (
  rights: string,
  { database }: Names,
  grantee: string,
) => `GRANT ${rights} ON DATABASE ${database} TO ${grantee};`;

/** Between marks that the text, with names of others in it, does not hold. */
function dollarQuoted(text: string): string {
  let tag = '$$';
  for (let n = 1; text.includes(tag); n++) tag = `$q${n}$`;
  return `${tag} ${text} ${tag}`;
}

/**
 * REASSIGN OWNED moves tables, sequences, views, functions and databases alike;
 * ALTER ... OWNER TO would cure one object, and the next one would fail.
 * Postgres does not name the old owner, and an aborted transaction cannot ask
 * for it, so the statement looks it up.
 */
function handOver(
  { grantee, database }: Names,
  object: string,
  selectOwner: string,
): Explanation {
  return {
    problem: `${grantee} must own what it changes; a shared backend.database.role spares this`,
    remedy:
      `Run in database ${database}, as member of both roles, to hand over ` +
      `all that the owner of ${object} owns there, and its databases`,
    statements: [
      `DO ${dollarQuoted(
        `BEGIN EXECUTE format('REASSIGN OWNED BY %s TO %s', ` +
          `(${selectOwner}), ${escapeLiteral(grantee)}); END`,
      )};`,
    ],
  };
}

const handOverSchema = (names: Names, schema: string) =>
  handOver(
    names,
    `schema ${quoted(schema)}`,
    `SELECT nspowner::regrole FROM pg_namespace WHERE nspname = ${escapeLiteral(schema)}`,
  );

const handOverRelation = (names: Names, kind: string, name: string) =>
  handOver(
    names,
    `${kind} ${quoted(name)}`,
    selectOwner(RELATIONS, name, names.schema),
  );

const allowDatabases = ({ grantee }: Names): Explanation => ({
  problem: `${grantee} may not create databases`,
  remedy:
    `Create them ahead with ${grantee} as their owner, or put all plugins ` +
    'into one with backend.database.pluginDivisionMode: schema, or run as an ' +
    'administrator',
  statements: [`ALTER ROLE ${grantee} CREATEDB;`],
});

const openDatabase = (names: Names): Explanation => ({
  problem: `${names.grantee} lacks rights on database ${names.database}`,
  remedy: 'Run as its owner',
  statements: [
    grantOnDatabase('CONNECT, CREATE, TEMPORARY', names, names.grantee),
  ],
});

/**
 * What to do about rights whose lack was seen before a statement met it; the
 * same as when one does.
 */
export const cureLackOf = {
  schemaOwnership: (site: RefusalSite, schema: string) =>
    handOverSchema(namesAt(site), schema),
  tableOwnership: (site: RefusalSite, table: string) =>
    handOverRelation(namesAt(site), 'table', table),
  databaseCreation: (site: RefusalSite) => allowDatabases(namesAt(site)),
  databaseRights: (site: RefusalSite) => openDatabase(namesAt(site)),
};

/** Catalogs whose objects lie in a schema, and the prefix of their columns. */
const CATALOGS: Record<string, [catalog: string, prefix: string]> = {
  function: ['pg_proc', 'pro'],
  procedure: ['pg_proc', 'pro'],
  type: ['pg_type', 'typ'],
  'statistics object': ['pg_statistic_ext', 'stx'],
};
const RELATIONS: [string, string] = ['pg_class', 'rel'];

/** The first one that matches decides. Nobody grants what is Postgres's own. */
const CURES: Cure[] = [
  {
    text: /^permission denied to set role ["'](.+)["']$/s,
    explain: ({ login }, name) => ({
      problem: `${login} may not become ${quoted(name)} (backend.database.role)`,
      remedy: 'Run as an administrator of that role',
      statements: [grantMembership(quoted(name), login)],
    }),
  },
  {
    text: /^role ["'](.+)["'] does not exist$/s,
    codes: ['22023'],
    explain: (names, name) => ({
      problem: `There is no role ${quoted(name)} (backend.database.role)`,
      remedy: 'Run as an administrator',
      statements: [
        `CREATE ROLE ${quoted(name)} NOLOGIN;`,
        grantMembership(quoted(name), names.login),
        grantOnDatabase('CONNECT, CREATE, TEMPORARY', names, quoted(name)),
      ],
    }),
  },
  {
    text: /^permission denied to create database$/,
    explain: allowDatabases,
  },
  {
    // The login itself needs this right: it has no role yet.
    text: /^permission denied for database/,
    matches: ({ detail }) => /CONNECT/.test(detail ?? ''),
    explain: names => {
      const { login, grantee, database } = names;
      return {
        problem: `${login} may not connect to database ${database}`,
        remedy: 'Run as its owner',
        statements:
          login === grantee
            ? [grantOnDatabase('CONNECT, CREATE, TEMPORARY', names, login)]
            : [
                grantOnDatabase('CONNECT', names, login),
                grantOnDatabase('CREATE, TEMPORARY', names, grantee),
              ],
      };
    },
  },
  {
    text: /^permission denied (for database|to create temporary tables in database)/,
    explain: openDatabase,
  },
  {
    text: /^permission denied to create extension/,
    matches: ({ hint }) => /CREATE privilege/.test(hint ?? ''),
    explain: names => ({
      problem: `${names.grantee} may not create extensions in database ${names.database}`,
      remedy: 'Run as its owner',
      statements: [grantOnDatabase('CREATE', names, names.grantee)],
    }),
  },
  {
    text: /^permission denied to create extension "(.+)"$/s,
    explain: ({ grantee, database, schema }, name) => ({
      problem: `${grantee} may not create this extension`,
      remedy: `Run in database ${database}, as member of databricks_superuser`,
      // Elsewhere, a search path of this one schema would not find it.
      statements: [
        `CREATE EXTENSION IF NOT EXISTS ${quoted(name)} SCHEMA ${schema};`,
      ],
    }),
  },
  {
    text: /^permission denied for schema (?!pg_)(.+)$/s,
    explain: (names, name) => openSchema(names, quoted(name)),
  },
  {
    // What CREATE TABLE says where the search path's schema may not be used.
    text: /^no schema has been selected to create in$/,
    codes: ['3F000'],
    explain: names => {
      const { problem, ...cure } = openSchema(names, names.schema);
      return {
        problem: `If schema ${names.schema} exists, ${problem}`,
        ...cure,
      };
    },
  },
  {
    text: /^permission denied for (?:table|view|materialized view|foreign table|sequence) (?!pg_)/,
    explain: ({ grantee, database, schema }) => ({
      problem: `${grantee} lacks rights in schema ${schema}`,
      remedy: `Run in database ${database}, as owner of its tables`,
      statements: grantContents(schema, grantee),
    }),
  },
  {
    text: /^must be owner of schema (.+)$/s,
    explain: handOverSchema,
  },
  {
    text: /^must be owner of (table|index|sequence|view|materialized view|foreign table|relation) (.+)$/s,
    explain: handOverRelation,
  },
  {
    // These come with the schema, where the statement had it.
    text: /^must be owner of (function|procedure|type|statistics object) (?:(.+)\.)?([^.]+)$/s,
    explain: (names, kind, schema, name) =>
      handOver(
        names,
        `${kind} ${quoted(name)}`,
        selectOwner(
          CATALOGS[kind],
          name,
          schema ? quoted(schema) : names.schema,
        ),
      ),
  },
];

function selectOwner(
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

/** Which statements give the right whose lack Postgres reported. */
export function findCure(
  refusal: Refusal,
  site: RefusalSite,
): Explanation | undefined {
  for (const cure of CURES) {
    const { text, codes = INSUFFICIENT_PRIVILEGE } = cure;
    if (!codes.includes(refusal.code ?? '')) continue;
    const groups = text.exec(shortened(refusal.message));
    if (groups && (cure.matches?.(refusal) ?? true)) {
      return cure.explain(namesAt(site), ...groups.slice(1));
    }
  }
  return undefined;
}

import { type DatabaseError, escapeIdentifier, escapeLiteral } from 'pg';
import {
  type Explanation,
  LakebaseError,
  LakebaseErrorCode,
  TLS_FAULT,
} from '../errors';
import { shortened } from '../texts';
import { findCure } from './cures';
import type { ConnectionTarget } from './target';

interface Rule {
  code: LakebaseErrorCode;
  /** SQLSTATE, or Node's code: either this or the text decides. */
  state?: RegExp;
  text?: RegExp;
  explain(target: ConnectionTarget, state: string): Explanation;
}

const at = (t: ConnectionTarget) => `${t.host}:${t.port}`;

const WAIT_FOR_ENDPOINT =
  'This is retried automatically; if that lasts, see the state of the endpoint ' +
  'in the workspace, or raise backend.database.lakebase.connectTimeout';

/** What to do about a server that takes no writes. */
export const READ_WRITE_REMEDY =
  'Point backend.database.lakebase.endpoint and ' +
  'backend.database.connection.host to the read-write endpoint of the ' +
  'branch, not to a replica or an -ro host';

/** A server that takes no writes. */
export const readOnlyFault = (target: ConnectionTarget): LakebaseError =>
  new LakebaseError('database-read-only', explainReadOnly(target));

const explainReadOnly = (t: ConnectionTarget): Explanation => ({
  problem: `${at(t)} is read-only`,
  remedy: READ_WRITE_REMEDY,
});

/**
 * What each failure between opening a socket and handing out the connection
 * means; the first rule that matches decides. Texts and SQLSTATEs of the
 * platform vary and are partly unverified, so most rules go by either.
 */
const RULES: Rule[] = [
  {
    code: 'external-authorization-failed',
    text: /external authorization failed/i,
    explain: t => ({
      problem: `${at(t)} answered "External authorization failed"`,
      remedy:
        'This is retried automatically; if that lasts, enable the endpoint, or ' +
        "let this host in: by the workspace's IP access list, or through its " +
        'private link',
    }),
  },
  {
    code: 'role-missing',
    text: /role ["'].*["'] does not exist/i,
    explain: t => ({
      problem: `There is no Postgres role for ${t.user} on this branch`,
      remedy: 'Create it in the target branch',
      statements: [
        'CREATE EXTENSION IF NOT EXISTS databricks_auth;',
        `SELECT databricks_create_role(${escapeLiteral(t.user)}, ` +
          `'${t.user.includes('@') ? 'USER' : 'SERVICE_PRINCIPAL'}');`,
      ],
    }),
  },
  {
    // The refusal's own text says which right; its statement is not known here.
    code: 'grant-missing',
    state: /^42501$/,
    explain: t => ({
      problem:
        `${escapeIdentifier(t.role ?? t.user)} lacks a right in database ` +
        `${escapeIdentifier(t.database)}; the cause says which`,
    }),
  },
  {
    code: 'database-missing',
    state: /^3D000$/,
    explain: t => ({
      problem: `There is no database ${escapeIdentifier(t.database)} on ${at(t)}`,
      remedy:
        'Check backend.database.connection.database, backend.database.prefix ' +
        'and backend.database.lakebase.adminDatabase, or allow its creation ' +
        'with backend.database.ensureExists',
    }),
  },
  {
    code: 'database-read-only',
    state: /^25006$/,
    explain: explainReadOnly,
  },
  {
    code: 'database-full',
    state: /^53300$/,
    text: /too many (clients|connections)|connection slots are reserved|acquire permit/i,
    explain: t => ({
      problem: `${at(t)} has no connection left`,
      remedy:
        'Lower backend.database.knexConfig.pool.max, run fewer replicas, or ' +
        'give the compute more capacity units',
    }),
  },
  {
    code: 'database-untrusted',
    state: TLS_FAULT,
    text: /invalid protocol version|does not support SSL|does not have SNI|insecure connection/i,
    explain: t => ({
      problem:
        `No verified TLS connection to ${at(t)} was possible; no credential ` +
        'was sent',
      remedy:
        'With a private CA or an inspecting proxy set ' +
        'backend.database.connection.ssl.ca or NODE_EXTRA_CA_CERTS; by an IP ' +
        'address, tunnel or alias set backend.database.connection.ssl.servername ' +
        "to the endpoint's own host name",
    }),
  },
  {
    code: 'database-refused',
    text: /SASL authentication failed/i,
    explain: t => ({
      problem: `${at(t)} refused the login in the way of a pooler`,
      remedy:
        'A pooler takes no OAuth logins: leave out ' +
        'backend.database.connection.host, or set it to the host of the ' +
        'endpoint itself, without -pooler',
    }),
  },
  {
    code: 'database-waking',
    state: /^57P0[123]$/,
    text: /starting up|compute node|control plane|handshake timeout|upstream handshake|authentication timed out/i,
    explain: t => ({
      problem: `${at(t)} was still starting up`,
      remedy: WAIT_FOR_ENDPOINT,
    }),
  },
  {
    code: 'token-refused',
    state: /^28(000|P01)$/,
    text: /\bjwt\b|\bjwk\b|decode token|authentication token|password authentication failed/i,
    explain: t => ({
      problem: `${at(t)} refused the credential of ${t.user}`,
      remedy:
        'Check that backend.database.connection.user is the identity that ' +
        'mints it (for a service principal its application id), that its role ' +
        'on this branch was made with databricks_create_role, and that the ' +
        'credential belongs to the workspace of this endpoint',
    }),
  },
  {
    code: 'database-unknown-host',
    state: /^ENOTFOUND$/,
    explain: t => ({
      problem: `The name ${t.host} could not be resolved`,
      remedy:
        'Check backend.database.connection.host and the DNS of this host; a ' +
        'host that was looked up is followed by a restart',
    }),
  },
  {
    // A server that says so can be reached.
    code: 'database-refused',
    state: /^08(004|P01)$/,
    explain: t => ({
      problem: `${at(t)} refused the connection; the cause says why`,
      remedy:
        'Check that backend.database.connection.host and port lead to the ' +
        'endpoint itself, and not to a pooler or a proxy of another kind',
    }),
  },
  {
    code: 'database-unreachable',
    state: /^08|^E[A-Z_]+$/,
    text: /connection terminated|timeout expired|establishing an SSL connection/i,
    explain: (t, state) => ({
      problem:
        `${at(t)} could not be reached` +
        (state.startsWith('E') ? ` (${state})` : ''),
      remedy:
        `Check that this host may open connections to port ${t.port} there ` +
        '(firewall, private link)',
    }),
  },
  {
    // Texts that nobody has written down yet come as internal errors.
    code: 'database-waking',
    state: /^XX000$/,
    explain: t => ({
      problem: `${at(t)} answered with an internal error`,
      remedy: WAIT_FOR_ENDPOINT,
    }),
  },
];

/** Turns what went wrong while connecting into an error with a remedy. */
export function explainConnectFault(
  error: unknown,
  target: ConnectionTarget,
): LakebaseError {
  if (error instanceof LakebaseError) return error;
  const { code = '', message = '' } = error as Partial<NodeJS.ErrnoException>;
  const cure = findCure(error as DatabaseError, target);
  if (cure) return new LakebaseError('grant-missing', cure, { cause: error });

  const said = shortened(message);
  const rule = RULES.find(
    ({ state, text }) => state?.test(String(code)) || text?.test(said),
  );
  return new LakebaseError(
    rule?.code ?? 'database-error',
    rule?.explain(target, String(code)) ?? {
      problem:
        `The connection to database ${escapeIdentifier(target.database)} on ` +
        `${at(target)} failed`,
    },
    { cause: error },
  );
}

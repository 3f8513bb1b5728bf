import { REFUSALS } from '../../emulator';
import {
  explainConnectFault,
  readOnlyFault,
} from '../../src/connections/postgresFaults';
import { LakebaseError, type LakebaseErrorCode } from '../../src/errors';

const HOST = 'ep-quiet-sun.database.example.com';
const USER = '6f1c9a52-0000-4000-8000-000000000000';
const DATABASE = 'backstage';
const target = { host: HOST, port: 5432, user: USER, database: DATABASE };

const failWith = (code: string, message: string) =>
  Object.assign(new Error(message), { code });

const classify = (code: string, message = 'Unknown to the table') =>
  explainConnectFault(failWith(code, message), target);

describe('what the gateway says means', () => {
  // A login without them follows, and so nobody sees its refusal.
  const { startupOptions: _, ...seen } = REFUSALS;
  const meanings: Record<keyof typeof seen, LakebaseErrorCode> = {
    expired: 'token-refused',
    revoked: 'token-refused',
    notAToken: 'token-refused',
    wrongIdentity: 'token-refused',
    notYetValid: 'token-refused',
    keyUnknown: 'token-refused',
    missingRole: 'role-missing',
    externalAuthorization: 'external-authorization-failed',
    pooled: 'database-refused',
    plaintext: 'database-untrusted',
    noSni: 'database-untrusted',
    missingDatabase: 'database-missing',
    startingUp: 'database-waking',
    shuttingDown: 'database-waking',
    handshakeTimeout: 'database-waking',
    computeUnreachable: 'database-waking',
    tooManyConnections: 'database-full',
  };
  const rows = Object.entries(seen).flatMap(([kind, variants]) =>
    variants.map(({ code, message }): [string, string, LakebaseErrorCode] => [
      code,
      message(USER, DATABASE),
      meanings[kind as keyof typeof meanings],
    ]),
  );

  it.each(rows)('%s %s: %s', (code, message, meaning) => {
    expect(classify(code, message).code).toBe(meaning);
  });
});

describe('an error is known by its code alone', () => {
  it.each<[code: string, meaning: LakebaseErrorCode]>([
    ['28000', 'token-refused'],
    ['28P01', 'token-refused'],
    ['3D000', 'database-missing'],
    ['25006', 'database-read-only'],
    ['42501', 'grant-missing'],
    ['53300', 'database-full'],
    ['57P01', 'database-waking'],
    ['57P02', 'database-waking'],
    ['57P03', 'database-waking'],
    ['XX000', 'database-waking'],
    ['08000', 'database-unreachable'],
    ['08001', 'database-unreachable'],
    ['08003', 'database-unreachable'],
    ['08004', 'database-refused'],
    ['08P01', 'database-refused'],
    ['08006', 'database-unreachable'],
    ['ECONNREFUSED', 'database-unreachable'],
    ['ECONNRESET', 'database-unreachable'],
    ['EPIPE', 'database-unreachable'],
    ['ETIMEDOUT', 'database-unreachable'],
    ['EHOSTUNREACH', 'database-unreachable'],
    ['ENETUNREACH', 'database-unreachable'],
    ['EAI_AGAIN', 'database-unreachable'],
    ['ENOTFOUND', 'database-unknown-host'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'database-untrusted'],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'database-untrusted'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'database-untrusted'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'database-untrusted'],
    ['CERT_HAS_EXPIRED', 'database-untrusted'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'database-untrusted'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'database-untrusted'],
    ['HOSTNAME_MISMATCH', 'database-untrusted'],
    ['EPROTO', 'database-untrusted'],
    ['42P01', 'database-error'],
    ['08', 'database-unreachable'],
    ['X08', 'database-error'],
    ['', 'database-error'],
  ])('%s: %s', (code, meaning) => {
    expect(classify(code).code).toBe(meaning);
  });
});

it.each(
  [
    '42501',
    '3D000',
    '25006',
    '53300',
    '57P01',
    '28000',
    '28P01',
    'XX000',
    'ENOTFOUND',
    'EPIPE',
  ].flatMap(code => [`1${code}`, `${code}1`]),
)('a code is known as a whole: %s is not', code => {
  expect(classify(code).code).toBe('database-error');
});

describe("an error without a code is known by pg's text", () => {
  it.each<[text: string, meaning: LakebaseErrorCode]>([
    ['Connection terminated unexpectedly', 'database-unreachable'],
    ['timeout expired', 'database-unreachable'],
    [
      'There was an error establishing an SSL connection',
      'database-unreachable',
    ],
    ['The server does not support SSL connections', 'database-untrusted'],
    ['Something else', 'database-error'],
  ])('%s: %s', (message, meaning) => {
    expect(explainConnectFault(new Error(message), target).code).toBe(meaning);
  });
});

describe('a refusal names', () => {
  const at = `${HOST}:5432`;

  it.each<[code: string, message: string, named: string[]]>([
    [
      '28000',
      'External authorization failed.',
      [at, 'enable the endpoint', 'IP access list', 'private link'],
    ],
    [
      '28000',
      `role "${USER}" does not exist`,
      [
        `There is no Postgres role for ${USER} on this branch. Create it in the target branch: `,
        'CREATE EXTENSION IF NOT EXISTS databricks_auth',
        `databricks_create_role('${USER}', 'SERVICE_PRINCIPAL');`,
      ],
    ],
    ['42501', 'unknown', [`"${USER}"`, `"${DATABASE}"`]],
    [
      '3D000',
      'unknown',
      [
        at,
        `"${DATABASE}"`,
        'backend.database.connection.database',
        'backend.database.prefix',
        'backend.database.lakebase.adminDatabase',
        'backend.database.ensureExists',
      ],
    ],
    [
      '25006',
      'unknown',
      [
        at,
        'backend.database.lakebase.endpoint',
        'backend.database.connection.host',
        'not to a replica',
      ],
    ],
    [
      '53300',
      'unknown',
      [at, 'backend.database.knexConfig.pool.max', 'capacity units'],
    ],
    [
      'EPROTO',
      'unknown',
      [
        at,
        'no credential was sent',
        'backend.database.connection.ssl.ca',
        'NODE_EXTRA_CA_CERTS',
        'backend.database.connection.ssl.servername',
        "the endpoint's own host name",
      ],
    ],
    [
      '57P03',
      'unknown',
      [
        at,
        'starting up',
        'retried automatically',
        'in the workspace',
        'backend.database.lakebase.connectTimeout',
      ],
    ],
    [
      '28P01',
      'unknown',
      [
        at,
        USER,
        'backend.database.connection.user',
        'application id',
        'databricks_create_role',
        'workspace of this endpoint',
      ],
    ],
    [
      'ENOTFOUND',
      'unknown',
      [HOST, 'backend.database.connection.host', 'restart'],
    ],
    ['ECONNREFUSED', 'unknown', [at, 'port 5432', 'firewall', 'private link']],
    [
      'XX000',
      'unknown',
      [at, 'internal error', 'backend.database.lakebase.connectTimeout'],
    ],
    [
      '08P01',
      'SASL authentication failed',
      [at, 'pooler', 'backend.database.connection.host', '-pooler'],
    ],
    ['08004', 'unknown', [at, 'refused the connection', 'cause', 'port']],
    ['42P01', 'unknown', [at, `"${DATABASE}"`, 'failed']],
  ])('%s %s: what it takes to find and mend it', (code, message, named) => {
    const said = classify(code, message).message;
    for (const name of named) expect(said).toContain(name);
  });

  it('a person as a user, where the role of one is missing', () => {
    const user = "jo.o'neil@example.com";
    const refusal = failWith('28000', `role "${user}" does not exist`);

    expect(explainConnectFault(refusal, { ...target, user }).message).toContain(
      `databricks_create_role('jo.o''neil@example.com', 'USER');`,
    );
  });

  it('the role instead of the login, where statements run as that', () => {
    const refusal = failWith('42501', 'unknown');
    const role = 'backstage_owner';

    expect(explainConnectFault(refusal, { ...target, role }).message).toContain(
      '"backstage_owner" lacks a right',
    );
  });
});

it('a role to run as that is missing is no missing login', () => {
  const refusal = classify('22023', 'role "owner" does not exist');

  expect(refusal.code).toBe('grant-missing');
  expect(refusal.message).toContain('CREATE ROLE "owner" NOLOGIN;');
});

it('what has been explained before stays as it is', () => {
  const error = new LakebaseError('stopped', { problem: 'Shutting down' });

  expect(explainConnectFault(error, target)).toBe(error);
});

it.each([
  ['53300', 'sorry, too many clients already'],
  ['42501', 'permission denied to create database'],
])('%s keeps the refusal as its cause', (code, message) => {
  const refusal = failWith(code, message);

  expect(explainConnectFault(refusal, target).cause).toBe(refusal);
});

it('a server that takes no writes is one whether it refuses or says so', () => {
  const refusal = failWith('25006', 'read-only');
  const { code, explanation } = explainConnectFault(refusal, target);

  expect(readOnlyFault(target)).toMatchObject({ code, explanation });
});

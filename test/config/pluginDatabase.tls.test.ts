import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@backstage/types';
import { checkAtStart, catchRefusal } from '../support/appConfig';

const HOST = 'ep-example.database.us-east-1.cloud.databricks.com';

/** `ssl` of the connections of a plugin and of the base. */
function read(database: JsonObject) {
  const plugin = checkAtStart(database).forPlugin('catalog')!;
  return {
    plugin: plugin.database.connection.ssl,
    base: plugin.endpoint.connection.ssl,
  };
}

describe("an authority of one's own", () => {
  const sslOf = (ssl: JsonObject) =>
    read({ connection: { host: HOST, ssl } }).plugin;
  const PEM = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';

  it('may have its line breaks as letters, as variables hold them', () => {
    expect(sslOf({ ca: PEM.replaceAll('\n', '\\n') })).toMatchObject({
      ca: PEM,
    });
    expect(sslOf({ ca: [PEM, PEM] })).toMatchObject({ ca: [PEM, PEM] });
  });

  it.each(['/etc/ssl/ca.pem', './ca.pem', 'MIIB', ['/a'], { $file: '/a' }, 5])(
    '%j is refused, with how to name a file',
    ca => {
      expect(catchRefusal(() => sslOf({ ca: ca }))).toMatch(
        /backend\.database\.connection\.ssl\.ca is not a certificate.*\$file/,
      );
    },
  );

  it.each(['sslmode', 'sslrootcert'])('%s of libpq is refused', name => {
    expect(catchRefusal(() => sslOf({ [name]: 'x' }))).toMatch(
      `backend.database.connection.ssl.${name} has no effect`,
    );
  });
});

/** All that is known to make pg trust anybody, or not use TLS at all. */
const UNVERIFIED: [string, (host: string) => string | JsonObject][] = [
  ['ssl: false', host => ({ host, ssl: false })],
  ["ssl: 'false'", host => ({ host, ssl: 'false' })],
  ['ssl: 0', host => ({ host, ssl: 0 })],
  ['ssl: disable', host => ({ host, ssl: 'disable' })],
  ['ssl: no-verify', host => ({ host, ssl: 'no-verify' })],
  ...[false, 'false', 0, '0'].map(
    (rejectUnauthorized): (typeof UNVERIFIED)[number] => [
      `rejectUnauthorized: ${JSON.stringify(rejectUnauthorized)}`,
      host => ({ host, ssl: { rejectUnauthorized } }),
    ],
  ),
  ...[
    'sslmode=disable',
    'sslmode=no-verify',
    'ssl=0',
    'ssl=false',
    'ssl=no-verify',
    '%73slmode=disable',
    'sslmode=verify-full&sslmode=disable',
    'ssl=true&sslmode=disable',
    'sslmode=disable&x=1',
    'uselibpqcompat=true&sslmode=disable',
    'uselibpqcompat=true&sslmode=prefer',
    'uselibpqcompat=true&sslmode=require',
  ].map((query): (typeof UNVERIFIED)[number] => [
    `?${query}`,
    host => `postgresql://${host}/databricks_postgres?${query}`,
  ]),
];

describe.each(UNVERIFIED)(
  'an unverified connection (%s)',
  (_, connectionTo) => {
    it('is refused, with what to do instead', () => {
      const connection = connectionTo(HOST);
      const message = catchRefusal(() => read({ connection }));
      expect(message).toContain('backend.database.connection turns off TLS');
      expect(message).toContain('backend.database.connection.ssl.ca');
    });

    it('is refused at start for a single plugin', () => {
      const plugin = { search: { connection: connectionTo(HOST) } };
      expect(catchRefusal(() => checkAtStart({ plugin }))).toContain(
        'backend.database.plugin.search.connection turns off TLS',
      );
    });

    it('is accepted to this machine', () => {
      const connection = connectionTo('127.0.0.1');
      checkAtStart({ connection });
      for (const ssl of Object.values(read({ connection }))) {
        expect([false, { rejectUnauthorized: false }]).toContainEqual(ssl);
      }
    });

    it('to this machine does not open the way to another one', () => {
      const database = {
        connection: connectionTo('127.0.0.1'),
        plugin: { catalog: { connection: { host: HOST } } },
      };
      expect(catchRefusal(() => checkAtStart(database))).toContain(
        'backend.database.connection turns off TLS',
      );
    });
  },
);

describe('an unverified connection', () => {
  it('of all plugins is refused at start, before the first one asks for it', () => {
    const connection = { host: HOST, ssl: false };
    expect(catchRefusal(() => checkAtStart({ connection }))).toContain(
      'backend.database.connection turns off TLS',
    );
  });

  it('is refused to an endpoint whose host is looked up', () => {
    expect(catchRefusal(() => read({ connection: { ssl: false } }))).toContain(
      'backend.database.connection turns off TLS',
    );
  });
});

describe('a setting of TLS that says neither', () => {
  it.each<[string, JsonObject | string]>([
    ["ssl: 'require'", { host: 'localhost', ssl: 'require' }],
    ["ssl: 'prefer'", { host: 'localhost', ssl: 'prefer' }],
    [
      "rejectUnauthorized: 'yes'",
      { host: 'localhost', ssl: { rejectUnauthorized: 'yes' } },
    ],
    ['?ssl=require', 'postgresql://localhost/?ssl=require'],
  ])('is refused even to this machine: %s', (_, connection) => {
    expect(catchRefusal(() => read({ connection }))).toContain(
      'backend.database.connection.ssl must be true',
    );
  });
});

describe('a verified connection', () => {
  it.each<[string, JsonObject | string]>([
    ['nothing', {}],
    ['ssl: true', { ssl: true }],
    ["ssl: 'true'", { ssl: 'true' }],
    ['ssl: null', { ssl: null }],
    ['ssl: {}', { ssl: {} }],
    ['rejectUnauthorized: null', { ssl: { rejectUnauthorized: null } }],
    ["rejectUnauthorized: 'true'", { ssl: { rejectUnauthorized: 'true' } }],
    ['rejectUnauthorized: true', { ssl: { rejectUnauthorized: true } }],
    ['?sslmode=require', `postgresql://${HOST}/?sslmode=require`],
    ['?sslmode=verify-full', `postgresql://${HOST}/?sslmode=verify-full`],
    ['?ssl=true', `postgresql://${HOST}/?ssl=true`],
    [
      '?uselibpqcompat=true&sslmode=verify-full',
      `postgresql://${HOST}/?uselibpqcompat=true&sslmode=verify-full`,
    ],
  ])('follows from %s', (_, connection) => {
    checkAtStart({ connection });
    expect(read({ connection })).toEqual({
      plugin: { rejectUnauthorized: true },
      base: { rejectUnauthorized: true },
    });
  });

  it('may trust a private CA and ask for another name', () => {
    const ssl = { ca: '-----BEGIN CERTIFICATE-----', servername: HOST };
    const connection = { host: 'tunnel.internal', ssl };
    expect(read({ connection })).toEqual({
      plugin: { ...ssl, rejectUnauthorized: true },
      base: { ...ssl, rejectUnauthorized: true },
    });
  });

  it('of one plugin may add to what holds for all', () => {
    const { plugin, base } = read({
      connection: { ssl: { ca: '-----BEGIN CERTIFICATE-----' } },
      plugin: { catalog: { connection: { ssl: { servername: HOST } } } },
    });
    expect(plugin).toEqual({
      ca: '-----BEGIN CERTIFICATE-----',
      servername: HOST,
      rejectUnauthorized: true,
    });
    expect(base).toEqual({
      ca: '-----BEGIN CERTIFICATE-----',
      rejectUnauthorized: true,
    });
  });
});

describe('a connection string with a CA file', () => {
  let folder: string;
  let file: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ca-'));
    file = join(folder, 'ca.pem');
    writeFileSync(file, '-----BEGIN CERTIFICATE-----');
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  it('is verified', () => {
    const connection = `postgresql://${HOST}/?sslrootcert=${file}`;
    expect(read({ connection }).plugin).toEqual({
      ca: '-----BEGIN CERTIFICATE-----',
      rejectUnauthorized: true,
    });
  });

  it.each(['require', 'verify-ca'])(
    'is refused when libpq would not compare the name of the server (%s)',
    mode => {
      const connection = `postgresql://${HOST}/?uselibpqcompat=true&sslmode=${mode}&sslrootcert=${file}`;
      expect(catchRefusal(() => read({ connection }))).toContain(
        'backend.database.connection turns off TLS or its verification',
      );
    },
  );
});

describe('NODE_TLS_REJECT_UNAUTHORIZED=0', () => {
  const off = { NODE_TLS_REJECT_UNAUTHORIZED: '0' };
  const local = { ...off, DATABRICKS_HOST: 'http://127.0.0.1:8080' };

  it.each<[string, JsonObject, NodeJS.ProcessEnv]>([
    ['a workspace elsewhere', { connection: { host: 'localhost' } }, off],
    ['a database elsewhere', { connection: { host: HOST } }, local],
    ['a database that is looked up', {}, local],
    [
      'the database of one plugin elsewhere',
      {
        connection: { host: 'localhost' },
        plugin: { search: { connection: { host: HOST } } },
      },
      local,
    ],
  ])('is refused with %s', (_, database, env) => {
    const message = catchRefusal(() => checkAtStart(database, env));
    expect(message).toContain('NODE_TLS_REJECT_UNAUTHORIZED=0');
    expect(message).toContain('NODE_EXTRA_CA_CERTS');
  });

  it('is accepted when all is on this machine', () => {
    const connection = { host: 'localhost' };
    const search = { client: 'better-sqlite3', connection: ':memory:' };
    const database = { connection, plugin: { search } };
    expect(() => checkAtStart(database, local)).not.toThrow();
  });

  it('means nothing with another value', () => {
    const env = { NODE_TLS_REJECT_UNAUTHORIZED: '1' };
    expect(() => checkAtStart({}, env)).not.toThrow();
  });
});

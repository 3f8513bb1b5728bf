import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';

import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Emulator } from '../../emulator';
import { lakebaseTests } from '../support/lakebase';
import {
  childProcess,
  commandLine,
  configFiles,
  spawnCommand,
} from './commandLine';

const start = lakebaseTests();
const files = configFiles();

interface StandIn {
  args: string[];
  given: Record<string, string>;
  caFile: string;
  user: string;
  database: string;
  searchPath: string;
}

let bin: string;

beforeAll(async () => {
  bin = await mkdtemp(join(tmpdir(), 'backstage-lakebase-test-'));
  await writeFile(
    join(bin, 'psql'),
    `#!/bin/sh\nexec '${process.execPath}' '${join(__dirname, 'standIn.mjs')}' "$@"\n`,
    { mode: 0o755 },
  );
});

afterAll(async () => {
  await rm(bin, { recursive: true });
});

const firstInPath = () => ({
  PATH: [bin, process.env.PATH].join(delimiter),
});

/** What a psql was given that lies first in the path. */
async function standIn(
  file: string,
  args: string[],
  env: NodeJS.ProcessEnv = {},
) {
  const outcome = await childProcess(['psql', '--config', file, ...args], {
    ...firstInPath(),
    ...env,
  });
  expect(outcome.stderr).toBe('');
  return {
    exitCode: outcome.exitCode,
    ...(JSON.parse(outcome.stdout) as StandIn),
  };
}

/** A configuration with a role that wants all kinds of quotes. */
async function withRole(emulator: Emulator) {
  const { clientId } = emulator.servicePrincipal;
  await emulator.createRole('portal owner');
  await emulator.query(`GRANT "portal owner" TO "${clientId}"`);
  await emulator.query('CREATE SCHEMA "user-settings"');
  return files.leadingTo(emulator, { role: 'portal owner' });
}

describe('the command psql', () => {
  it("is in a plugin's schema and role, with psql's own arguments and exit code", async () => {
    const emulator = await start.emulator();
    const file = await withRole(emulator);

    const seen = await standIn(file, ['user-settings', '--', '-c', 'a b']);

    expect(seen).toMatchObject({
      user: 'portal owner',
      database: 'databricks_postgres',
      searchPath: '"user-settings"',
      args: ['-c', 'a b'],
      exitCode: 3,
    });
  });

  it('lists the plugins, where the one asked for has no schema', async () => {
    const emulator = await start.emulator();
    const file = await files.leadingTo(emulator);
    await emulator.query('CREATE SCHEMA catalog');
    await emulator.query('CREATE SCHEMA search');

    const outcome = await commandLine(['psql', 'catalgo', '--config', file], {
      env: firstInPath(),
    });

    expect(outcome.exitCode).toBe(2);
    expect(outcome.stderr).toContain(
      "Plugin 'catalgo' has no schema catalgo in databricks_postgres",
    );
    expect(outcome.stderr).toContain('Those that have one: catalog, search');
  });

  it('lists the plugins, where the one asked for has no database', async () => {
    const emulator = await start.emulator();
    const file = await files.leadingTo(emulator, {
      pluginDivisionMode: 'database',
      prefix: 'psql_test_',
    });
    await emulator.query('CREATE DATABASE psql_test_catalog');

    const outcome = await commandLine(['psql', 'search', '--config', file], {
      env: firstInPath(),
    });
    await emulator.query('DROP DATABASE psql_test_catalog WITH (FORCE)');

    expect(outcome.exitCode).toBe(2);
    expect(outcome.stderr).toContain(
      "Plugin 'search' has no database psql_test_search",
    );
    expect(outcome.stderr).toContain('Those that have one: catalog\n');
  });

  it('is in the database in common without a plugin', async () => {
    const emulator = await start.emulator();
    const file = await files.leadingTo(emulator);

    const seen = await standIn(file, ['--', '--list']);

    expect(seen).toMatchObject({
      user: emulator.servicePrincipal.clientId,
      database: 'databricks_postgres',
      searchPath: '"$user", public',
      args: ['--list'],
    });
  });

  it('verifies the server, by the authorities of the configuration', async () => {
    const emulator = await start.emulator();
    const file = await files.leadingTo(emulator);

    const { given, caFile } = await standIn(file, []);

    expect(given).toMatchObject({
      PGHOST: 'localhost',
      PGSSLMODE: 'verify-full',
    });
    expect(existsSync(caFile)).toBe(false);
  });

  it('verifies the server, by the authorities of Node', async () => {
    const emulator = await start.emulator();
    const file = await files.leadingTo(emulator, {
      connection: { ssl: { ca: null } },
    });

    const { exitCode } = await standIn(file, [], {
      NODE_EXTRA_CA_CERTS: emulator.ca.certFile,
    });

    expect(exitCode).toBe(3);
  });

  it('asks an alias of the endpoint for the name of the endpoint', async () => {
    const emulator = await start.emulator();
    const file = await files.leadingTo(emulator, {
      connection: {
        host: '127.0.0.1',
        ssl: { servername: 'ep-1.database.emulator.test' },
      },
    });

    const { given } = await standIn(file, []);

    expect(given).toMatchObject({
      PGHOST: 'ep-1.database.emulator.test',
      PGHOSTADDR: '127.0.0.1',
    });
  });

  it('takes nothing of the PG* variables around it that says where to go', async () => {
    const emulator = await start.emulator();
    const file = await files.leadingTo(emulator);

    const { given } = await standIn(file, [], {
      PGSERVICE: 'elsewhere',
      PGSSLMODE: 'disable',
      PGREQUIREAUTH: 'none',
      PGTZ: 'UTC',
    });

    expect(Object.keys(given).sort()).toEqual([
      'PGAPPNAME',
      'PGCONNECT_TIMEOUT',
      'PGDATABASE',
      'PGGSSENCMODE',
      'PGHOST',
      'PGOPTIONS',
      'PGPORT',
      'PGSSLMODE',
      'PGTZ',
      'PGUSER',
    ]);
    expect(given.PGSSLMODE).toBe('verify-full');
  });

  it('leaves Ctrl-C to psql, and ends with it, leaving no file behind', async () => {
    const emulator = await start.emulator();
    const file = await files.leadingTo(emulator);
    const args = ['psql', '--config', file, '--', '--stay'];
    const command = spawnCommand(args, firstInPath());
    const [shown] = (await once(command.stdout, 'data')) as [Buffer];
    const { caFile } = JSON.parse(shown.toString()) as StandIn;

    command.kill('SIGINT');
    command.kill('SIGTERM');
    const [exitCode] = (await once(command, 'close')) as [number];

    expect(exitCode).toBe(128 + 15);
    expect(existsSync(caFile)).toBe(false);
  });

  it('says how to get psql where there is none', async () => {
    const emulator = await start.emulator();
    const file = await files.leadingTo(emulator);

    const outcome = await commandLine(['psql', '--config', file], {
      env: { PATH: '/nowhere' },
    });

    expect(outcome.exitCode).toBe(127);
    expect(outcome.stderr).toMatch(/not installed.*apt.*brew.*winget/s);
  });
});

/** The real one, where there is one. */
const itWithPsql = hasPsql() ? it : it.skip;

function hasPsql(): boolean {
  try {
    execFileSync('psql', ['--version']);
    return true;
  } catch {
    return false;
  }
}

describe('a real psql', () => {
  itWithPsql('logs in, over verified TLS, in the schema and role', async () => {
    const emulator = await start.emulator();
    const file = await withRole(emulator);
    const sql =
      "SELECT current_user, current_setting('search_path'), current_database()";

    const { stdout, stderr, exitCode } = await childProcess([
      'psql',
      'user-settings',
      '--config',
      file,
      '--',
      '-XAtc',
      sql,
    ]);

    expect(stdout).toBe('portal owner|"user-settings"|databricks_postgres\n');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  });

  itWithPsql('does not log in to a server that it cannot verify', async () => {
    const emulator = await start.emulator();
    const file = await files.leadingTo(emulator);
    emulator.gateway.tls = 'untrusted';

    const { stderr, exitCode } = await childProcess([
      'psql',
      '--config',
      file,
      '--',
      '-Xc',
      'SELECT 1',
    ]);

    expect(stderr).toContain('certificate verify failed');
    expect(exitCode).toBe(2);
    expect(emulator.gateway.logins).toEqual([]);
  });
});

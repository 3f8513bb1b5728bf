import { Client } from 'pg';
import { databaseConfig } from '../../emulator';
import { lakebaseTests } from '../support/lakebase';
import { commandLine, configFiles } from './commandLine';

const start = lakebaseTests();
const files = configFiles();

describe('the command token', () => {
  it('prints a credential that logs in, and its expiry beside it', async () => {
    const emulator = await start.emulator();
    const file = await files.leadingTo(emulator);

    const { exitCode, stdout, stderr } = await commandLine([
      'token',
      '--yes',
      '--config',
      file,
    ]);

    const client = new Client({
      host: 'localhost',
      port: emulator.gateway.port,
      user: emulator.servicePrincipal.clientId,
      password: stdout.trim(),
      database: 'databricks_postgres',
      ssl: { ca: emulator.ca.cert },
    });
    await client.connect();
    await client.end();
    const [, expires] = /^Expires (\S+)\n$/.exec(stderr)!;
    expect(Date.parse(expires) - Date.now()).toBeGreaterThan(59 * 60_000);
    expect(Date.parse(expires) - Date.now()).toBeLessThanOrEqual(60 * 60_000);
    expect(exitCode).toBe(0);
  });

  it('prints both as one JSON object', async () => {
    const emulator = await start.emulator();
    const file = await files.leadingTo(emulator);

    const { stdout, stderr } = await commandLine([
      'token',
      '--yes',
      '--json',
      '--config',
      file,
    ]);

    expect(JSON.parse(stdout)).toEqual({
      version: 1,
      token: expect.stringMatching(/^eyJ/) as string,
      expires: expect.stringMatching(/^20.*Z$/) as string,
    });
    expect(stderr).toBe('');
  });

  it('shows it to a terminal, and to nothing else unless told to', async () => {
    const emulator = await start.emulator();
    const file = await files.leadingTo(emulator);
    const args = ['token', '--config', file];

    const refused = await commandLine(args);
    const mintedFor = emulator.controlPlane.count('credentials');
    const shown = await commandLine(args, { interactive: true });
    const allowed = await commandLine([...args, '--yes']);

    expect(refused).toMatchObject({ exitCode: 2, stdout: '' });
    expect(refused.stderr).toMatch(/not a terminal.*--yes/s);
    expect(mintedFor).toBe(0);
    expect(shown.stdout).toMatch(/^eyJ/);
    expect(allowed.stdout).toMatch(/^eyJ/);
  });

  it('mints for the endpoint of the plugin that it names', async () => {
    const emulator = await start.emulator();
    const other = await emulator.addServicePrincipal();
    const { workspace } = databaseConfig(emulator).lakebase;
    const file = await files.leadingTo(emulator, {
      plugin: {
        catalog: { lakebase: { workspace: { ...workspace, ...other } } },
      },
    });

    const { stdout } = await commandLine([
      'token',
      '--yes',
      '--plugin',
      'catalog',
      '--config',
      file,
    ]);

    expect(subjectOf(stdout)).toBe(other.clientId);
  });

  it.each([
    ['is refused', 3, { lakebase: { workspace: { clientSecret: 'stale' } } }],
    ['is not configured', 2, { plugin: { catalog: { lakebase: false } } }],
  ])('says why it has none when it %s', async (_, exitCode, overrides) => {
    const emulator = await start.emulator();
    const file = await files.leadingTo(emulator, overrides);

    const outcome = await commandLine([
      'token',
      '--yes',
      '--plugin',
      'catalog',
      '--config',
      file,
    ]);

    expect(outcome).toMatchObject({ exitCode, stdout: '' });
    expect(outcome.stderr).toMatch(
      /clientSecret: the secret may be wrong|'catalog' is not on Lakebase/,
    );
    expect(outcome.stderr).not.toContain('stale');
  });
});

const subjectOf = (token: string) =>
  (
    JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString()) as {
      sub: string;
    }
  ).sub;

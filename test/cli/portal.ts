import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Emulator } from '../../emulator';
import { copyablePostgres } from '../support/copyablePostgres';
import { lakebaseTests } from '../support/lakebase';
import { commandLine, configFiles } from './commandLine';

const PROJECT = 'projects/backstage';

export const PRODUCTION = `${PROJECT}/branches/production`;

export const nameOf = (id: string) => `${PROJECT}/branches/${id}`;

export interface Portal {
  emulator: Emulator;
  /** Leads to production. */
  config: string;
  /** Where there is room for files. */
  folder: string;
  /** What `branch create` writes. */
  out: string;
  branch(...args: string[]): ReturnType<typeof commandLine>;
  scrub(...args: string[]): ReturnType<typeof commandLine>;
  /** What the platform has now, production excluded. */
  branches(): string[];
}

/** Portals of one test file, with one session that no copy may have. */
export function portalTests() {
  const start = lakebaseTests();
  const files = configFiles();
  const copyable = copyablePostgres();
  const folders: string[] = [];
  afterEach(async () => {
    for (const folder of folders.splice(0))
      await rm(folder, { recursive: true });
  });

  return async (history = false): Promise<Portal> => {
    const folder = await mkdtemp(join(tmpdir(), 'backstage-lakebase-test-'));
    folders.push(folder);
    const out = join(folder, 'app-config.branch.yaml');
    const emulator = await start.emulator({ history, ...copyable() });
    const lakebase = start.lakebase(emulator, { pluginDivisionMode: 'schema' });
    const knex = await lakebase.getClient('auth');
    await knex.raw('CREATE TABLE sessions (id text, data text)');
    await knex.raw(`INSERT INTO sessions VALUES ('1', 'secret')`);
    await lakebase.stop();
    const config = await files.leadingTo(emulator);
    const run = (args: string[]) =>
      commandLine([...args, '--config', config], {
        // Whose own Ctrl-C is not to be met here.
        interrupted: new AbortController().signal,
      });
    return {
      emulator,
      config,
      folder,
      out,
      branch: (...args) =>
        run([
          'branch',
          ...args,
          ...(args[0] === 'create' ? ['--out', out] : []),
        ]),
      scrub: (...args) => run(['scrub', ...args]),
      branches: () =>
        emulator.controlPlane.catalog
          .branches()
          .map(({ name }) => name)
          .filter(name => name !== PRODUCTION),
    };
  };
}

export const sessionsOn = async (emulator: Emulator, branch: string) => {
  const sql = 'SELECT count(*)::int FROM auth.sessions';
  const [{ count }] = await emulator.queryBranch(branch, sql);
  return count as number;
};

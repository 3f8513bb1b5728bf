import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { JsonObject } from '@backstage/types';
import type { Knex } from 'knex';
import type { Emulator } from '../../../emulator';
import { copyablePostgres } from '../../support/copyablePostgres';
import { lakebaseTests } from '../../support/lakebase';
import { commandLine, configFiles } from '../commandLine';
import { PRODUCTION } from '../portal';

/** Source text of migrations, by file name. */
export type Migrations = Record<string, string>;

export interface Upgrade {
  emulator: Emulator;
  /** Changes what the command is told. */
  configure(settings: JsonObject): Promise<void>;
  /** The backend's package. */
  backend: string;
  /** What a plugin of production has. */
  knexOf(pluginId: string): Promise<Knex>;
  /** Adds a company's own plugin, with these files. */
  install(pluginId: string, migrations: Migrations): Promise<string>;
  /** Takes a file of it away. */
  uninstall(pluginId: string, file: string): Promise<void>;
  /** Adds a package from node_modules. */
  link(name: string): Promise<void>;
  run(...args: string[]): ReturnType<typeof commandLine>;
  /** The signal stands for Ctrl-C. */
  interruptible(
    interrupted: AbortSignal,
    ...args: string[]
  ): ReturnType<typeof commandLine>;
  /** All but production. */
  branches(): string[];
}

/** A migration of these statements. */
export const statements = (
  up: string,
  down = 'select 1',
  config = '',
): string => `
  exports.up = async knex => { await knex.raw(${JSON.stringify(up)}); };
  exports.down = async knex => { await knex.raw(${JSON.stringify(down)}); };
  ${config}
`;

export const NO_TRANSACTION = 'exports.config = { transaction: false };';

/** Portals of one test file that are about to be upgraded. */
export function upgradeTests() {
  const start = lakebaseTests();
  const files = configFiles();
  const copyable = copyablePostgres();
  const folders: string[] = [];
  afterEach(async () => {
    for (const folder of folders.splice(0)) {
      await rm(folder, { recursive: true });
    }
  });

  return async (
    settings: JsonObject = { pluginDivisionMode: 'schema' },
  ): Promise<Upgrade> => {
    const emulator = await start.emulator(copyable());
    const lakebase = start.lakebase(emulator, settings);
    let config = await files.leadingTo(emulator, settings);
    const backend = await mkdtemp(join(tmpdir(), 'backstage-lakebase-test-'));
    folders.push(backend);
    const dependencies: Record<string, string> = {};
    const add = async (name: string) => {
      dependencies[name] = '*';
      await writeFile(
        join(backend, 'package.json'),
        JSON.stringify({ name: 'backend', version: '1.2.3', dependencies }),
      );
    };
    const run = (interrupted: AbortSignal, args: string[]) =>
      commandLine([...args, '--config', config, '--backend', backend], {
        interrupted,
      });
    return {
      emulator,
      backend,
      configure: async more => {
        config = await files.leadingTo(emulator, { ...settings, ...more });
      },
      knexOf: id => lakebase.getClient(id),
      install: async (pluginId, migrations) => {
        const name = `@company/plugin-${pluginId}-backend`;
        const folder = join(backend, 'node_modules', name);
        const directory = join(folder, 'migrations');
        await mkdir(directory, { recursive: true });
        await writeFile(
          join(folder, 'package.json'),
          JSON.stringify({
            name,
            version: '1.0.0',
            backstage: { role: 'backend-plugin', pluginId },
          }),
        );
        for (const [file, text] of Object.entries(migrations)) {
          await writeFile(join(directory, file), text);
        }
        await add(name);
        return directory;
      },
      uninstall: (pluginId, file) =>
        rm(
          join(
            backend,
            'node_modules',
            `@company/plugin-${pluginId}-backend`,
            'migrations',
            file,
          ),
        ),
      link: async name => {
        const target = join(backend, 'node_modules', name);
        await mkdir(dirname(target), { recursive: true });
        await symlink(dirname(require.resolve(`${name}/package.json`)), target);
        await add(name);
      },
      run: (...args) => run(new AbortController().signal, args),
      interruptible: (interrupted, ...args) => run(interrupted, args),
      branches: () =>
        emulator.controlPlane.catalog
          .branches()
          .map(({ name }) => name)
          .filter(name => name !== PRODUCTION),
    };
  };
}

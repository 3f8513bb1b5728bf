import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { max, maxBy, sumBy } from 'lodash';
import {
  databaseConfig,
  type Emulator,
  startEmulator,
  startPostgresProcess,
} from '../../emulator';
import type { MigrationReport } from '../../src/migrations/report';
import { commandLine } from '../../testbed/commandLine';
import { makeSchema } from '../../testbed/makeSchema';
import { installedBackend, packageOf } from '../../testbed/installedBackend';
import { fillAuth, fillCatalog } from '../../testbed/olderPortal';
import type { Benchmark } from './benchmark';

const CLIENTS = 100;

/** What takes less says nothing about times. */
const LONG_MS = 100;

/** How far a real run may be from the rehearsal. */
const FACTOR = 2;

const PORTALS: Record<string, Record<string, string>> = {
  'catalog 3.4, auth 0.27': { catalog: '3.4.0', auth: '0.27.3' },
  'Backstage 1.49': { catalog: '3.5.1', auth: '0.27.3' },
};

/** Migrations of a version, as it came from the registry. */
async function download(
  plugin: string,
  version: string,
  folder: string,
): Promise<string> {
  const target = join(folder, `${plugin}-${version}`);
  await mkdir(target);
  const run = promisify(execFile);
  const { stdout } = await run(
    'npm',
    ['pack', '--silent', `${packageOf(plugin)}@${version}`],
    { cwd: target },
  );
  await run('tar', ['xzf', stdout.trim(), '-C', target], { cwd: target });
  return join(target, 'package', 'migrations');
}

async function installOld(
  emulator: Emulator,
  versions: Record<string, string>,
  folder: string,
  entities: number,
): Promise<void> {
  for (const [plugin, version] of Object.entries(versions)) {
    const knex = await makeSchema(emulator, plugin);
    const directory = await download(plugin, version, folder);
    await knex.migrate.latest({ directory });
    if (plugin === 'catalog') await fillCatalog(knex, entities);
    else await fillAuth(knex, CLIENTS);
    await knex.raw('ANALYZE');
    await knex.destroy();
  }
}

interface Measured {
  verdict: string;
  migrations: (MigrationReport & { plugin: string; realMs: number })[];
}

async function measure(
  versions: Record<string, string>,
  entities: number,
): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), 'backstage-lakebase-bench-'));
  const postgres = await startPostgresProcess();
  const emulator = await startEmulator({ postgres });
  // What old migrations import.
  const modules = dirname(dirname(require.resolve('knex/package.json')));
  await symlink(modules, join(folder, 'node_modules'));
  try {
    await installOld(emulator, versions, folder, entities);
    const backend = await installedBackend(
      join(folder, 'backend'),
      Object.keys(versions),
    );
    const config = join(folder, 'app-config.yaml');
    const database = {
      ...databaseConfig(emulator),
      pluginDivisionMode: 'schema',
    };
    await writeFile(config, JSON.stringify({ backend: { database } }));
    const run = async <T>(...args: string[]) => {
      const { stdout, stderr } = await commandLine([
        ...args,
        ...['--json', '--config', config, '--backend', backend],
      ]);
      if (!stdout) throw new Error(stderr);
      return JSON.parse(stdout) as T;
    };
    const rehearsed = await run<{
      verdict: { text: string };
      sets: { plugin: string; migrations: MigrationReport[] }[];
    }>('rehearse');
    const real = await run<{ migrations: { file: string; ms: number }[] }>(
      ...['migrate', '--no-restore-point'],
    );
    return {
      verdict: rehearsed.verdict.text,
      migrations: rehearsed.sets.flatMap(({ plugin, migrations }) =>
        migrations.map(it => ({
          ...it,
          plugin,
          realMs: real.migrations.find(({ file }) => file === it.file)!.ms,
        })),
      ),
    };
  } finally {
    await emulator.stop();
    await postgres.stop();
    await rm(folder, { recursive: true });
  }
}

const seconds = (ms: number) => (ms / 1_000).toFixed(2);

export const upgradeBenchmark: Benchmark = {
  name: 'upgrade',
  title: 'An upgrade, rehearsed and real',
  onRequest: true,
  async run({ quick }) {
    const entities = quick ? 1_000 : 10_000;
    const rows: (string | number)[][] = [];
    const factors: number[] = [];
    const lost: string[] = [];
    for (const [portal, versions] of Object.entries(PORTALS)) {
      const { migrations } = await measure(versions, entities);
      for (const it of migrations) {
        const longest = maxBy(it.blocked, ({ writesMs }) => writesMs);
        lost.push(...it.lost.map(what => `${portal}: ${what}`));
        if (it.ms < LONG_MS && it.realMs < LONG_MS) continue;
        const factor = Math.max(it.ms / it.realMs, it.realMs / it.ms);
        factors.push(factor);
        rows.push([
          portal,
          `${it.plugin} ${it.file}`,
          seconds(it.ms),
          seconds(it.realMs),
          longest ? `${seconds(longest.writesMs)} (${longest.table})` : '-',
        ]);
      }
      rows.push([
        portal,
        `all ${migrations.length}`,
        seconds(sumBy(migrations, 'ms')),
        seconds(sumBy(migrations, 'realMs')),
        '',
      ]);
    }
    const worst = max(factors) ?? 1;
    return {
      method: `Production has ${entities.toLocaleString('en')} entities with 30 rows in search each, made by the migrations of older releases; the newest ones are rehearsed on a copy, and then run for real. Those that take a tenth of a second are shown`,
      tables: [
        {
          columns: [
            'portal',
            'migration',
            'rehearsed, s',
            'real, s',
            'writes blocked, s',
          ],
          rows,
        },
        { columns: ['what is lost'], rows: lost.map(what => [what]) },
      ],
      targets: [
        {
          promise: `a real run takes what the rehearsal took, within a factor of ${FACTOR}`,
          found: `at most ${worst.toFixed(2)} times`,
          met: worst <= FACTOR,
        },
      ],
    };
  },
};

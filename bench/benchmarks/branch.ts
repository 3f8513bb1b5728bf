import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sum } from 'lodash';
import {
  databaseConfig,
  type Emulator,
  startEmulator,
  startPostgresProcess,
} from '../../emulator';
import { commandLine } from '../../testbed/commandLine';
import { makeSchema } from '../../testbed/makeSchema';
import { migrationsOf } from '../../testbed/pluginMigrations';
import { median } from '../measure/statistics';
import type { Benchmark } from './benchmark';

const ENTITIES = 10_000;

/** Plugins with something to scrub, and the catalog. */
const PLUGINS = ['auth', 'catalog', 'notifications', 'scaffolder'];

/** What a catalog holds for each entity, without what it takes to make it. */
const FILL = `
  INSERT INTO catalog.refresh_state
    (entity_id, entity_ref, unprocessed_entity, errors, next_update_at, last_discovery_at)
  SELECT i::text, 'component:default/c-' || i, '{}', '[]', now(), now()
  FROM generate_series(1, ${ENTITIES}) i;
  INSERT INTO catalog.final_entities (entity_id, entity_ref, hash, final_entity)
  SELECT i::text, 'component:default/c-' || i, md5(i::text),
         json_build_object('kind', 'Component', 'text', repeat(md5(i::text), 40))::text
  FROM generate_series(1, ${ENTITIES}) i;
  INSERT INTO catalog.search (entity_id, key, value, original_value)
  SELECT i::text, 'key-' || k, 'value ' || i % 97, 'value ' || i % 97
  FROM generate_series(1, ${ENTITIES}) i, generate_series(1, 20) k;`;

async function fill(emulator: Emulator): Promise<void> {
  for (const plugin of PLUGINS) {
    const knex = await makeSchema(emulator, plugin);
    await knex.migrate.latest({ directory: migrationsOf(plugin) });
    await knex.destroy();
  }
  await emulator.query(FILL);
}

/** Makes a branch and deletes it again, by the command. */
async function createOnce(emulator: Emulator, folder: string, id: string) {
  const config = join(folder, 'app-config.yaml');
  const database = {
    ...databaseConfig(emulator),
    pluginDivisionMode: 'schema',
  };
  await writeFile(config, JSON.stringify({ backend: { database } }));
  const command = async (...args: string[]) => {
    const { exitCode, stdout, stderr } = await commandLine([
      ...args,
      ...['--json', '--config', config],
    ]);
    if (exitCode !== 0) throw new Error(stderr);
    return JSON.parse(stdout) as { steps: { step: string; ms: number }[] };
  };
  const { operations } = emulator.controlPlane;
  const before = operations.tookMs.length;
  const begin = performance.now();
  const { steps } = await command(
    ...['branch', 'create', id, '--out', join(folder, 'overlay.yaml')],
  );
  const totalMs = performance.now() - begin;
  const platformMs = sum(operations.tookMs.slice(before));
  await command('branch', 'delete', id);
  return { steps, totalMs, oursMs: totalMs - platformMs };
}

export const branchBenchmark: Benchmark = {
  name: 'branch',
  title: 'A scrubbed branch of production',
  async run({ quick }) {
    const postgres = await startPostgresProcess({ inMemory: true });
    const emulator = await startEmulator({ postgres });
    const folder = await mkdtemp(join(tmpdir(), 'lakebase-bench-'));
    try {
      await fill(emulator);
      const found: Awaited<ReturnType<typeof createOnce>>[] = [];
      for (let i = 0; i < (quick ? 2 : 7); i++) {
        found.push(await createOnce(emulator, folder, `copy-${i}`));
      }
      const seconds = (ms: number[]) => (median(ms) / 1_000).toFixed(2);
      const ours = found.map(({ oursMs }) => oursMs);
      return {
        method:
          `backstage-lakebase branch create on a catalog of ${ENTITIES} ` +
          'entities, with the tables of auth, notifications and scaffolder. ' +
          'Medians. The copy itself is the emulator’s, which copies files; ' +
          'the platform copies none',
        tables: [
          {
            columns: ['step', 's'],
            rows: [
              ...found[0].steps.map(({ step }, index) => [
                step.replace(/copy-\d+/, 'the branch'),
                seconds(found.map(({ steps }) => steps[index].ms)),
              ]),
              ['in all', seconds(found.map(({ totalMs }) => totalMs))],
              ['of which ours', seconds(ours)],
            ],
          },
        ],
        targets: [
          {
            promise: 'at most 0.5 s beyond the operation of the platform',
            found: `${seconds(ours)} s`,
            met: median(ours) <= 500,
          },
        ],
      };
    } finally {
      await rm(folder, { recursive: true });
      await emulator.stop();
      await postgres.stop();
    }
  },
};

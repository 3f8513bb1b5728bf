import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  databaseConfig,
  startEmulator,
  startPostgresProcess,
} from '../../emulator';
import { makeSchema } from '../../testbed/makeSchema';
import { fillCatalog } from '../../testbed/olderPortal';
import { migrationsOf } from '../../testbed/pluginMigrations';
import type { CommandReport } from '../measure/commandProcess';
import type { Benchmark } from './benchmark';

/** Of an entity, in the search table. */
const ROWS_EACH = 30;

const MORE_MB = 50;

/** Else the collector would wait for more to collect. */
const HEAP_MB = 96;

const COMMAND = join(__dirname, '..', 'measure', 'commandProcess.ts');

interface Measured {
  rows: number;
  compareMs: number;
  restoreMs: number;
  /** Of the process that runs the command. */
  peakMb: number;
}

/** Loses all rows of the search table, and brings them back. */
async function measure(rows: number): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), 'backstage-lakebase-bench-'));
  const postgres = await startPostgresProcess();
  const emulator = await startEmulator({ postgres });
  try {
    const knex = await makeSchema(emulator, 'catalog');
    await knex.migrate.latest({ directory: migrationsOf('catalog') });
    await fillCatalog(knex, Math.ceil(rows / ROWS_EACH));
    const config = join(folder, 'app-config.yaml');
    const database = {
      ...databaseConfig(emulator),
      pluginDivisionMode: 'schema',
    };
    await writeFile(config, JSON.stringify({ backend: { database } }));
    const run = async (...args: string[]) => {
      const begin = performance.now();
      const { stdout } = await promisify(execFile)(process.execPath, [
        `--max-old-space-size=${HEAP_MB}`,
        ...['--import', 'tsx', COMMAND, ...args, '--config', config],
      ]);
      const report = JSON.parse(stdout) as CommandReport;
      if (report.exitCode !== 0) throw new Error(report.stderr);
      return { ms: performance.now() - begin, memoryMb: report.memoryMb };
    };
    await run(
      ...['branch', 'create', 'before', '--no-scrub'],
      ...['--out', join(folder, 'overlay.yaml')],
    );
    await knex.raw('TRUNCATE search');
    await knex.destroy();
    const undo = ['undo', '--branch', 'before', '--plugin', 'catalog.search'];
    const compared = await run(...undo);
    const restored = await run(...undo, '--restore');
    const [{ count }] = await emulator.query(
      'SELECT count(*)::int FROM catalog.search',
    );
    return {
      rows: count as number,
      compareMs: compared.ms,
      restoreMs: restored.ms,
      peakMb: restored.memoryMb,
    };
  } finally {
    await emulator.stop();
    await postgres.stop();
    await rm(folder, { recursive: true });
  }
}

export const undoBenchmark: Benchmark = {
  name: 'undo',
  title: 'A wiped table brought back',
  onRequest: true,
  async run({ quick }) {
    const few = await measure(quick ? 10_000 : 100_000);
    const many = await measure(quick ? 100_000 : 1_000_000);
    const row = ({ rows, compareMs, restoreMs, peakMb }: Measured) => [
      rows.toLocaleString('en'),
      (compareMs / 1_000).toFixed(1),
      (restoreMs / 1_000).toFixed(1),
      Math.round(rows / (restoreMs / 1_000)).toLocaleString('en'),
      peakMb.toFixed(0),
    ];
    const moreMb = many.peakMb - few.peakMb;
    return {
      method:
        'All rows of the search table are gone; undo compares, and undo --restore compares, brings them back, and compares again. The memory is all that the process of the command has, whose heap may grow to 96 MB',
      tables: [
        {
          columns: [
            'rows',
            'compare, s',
            'restore, s',
            'rows per s',
            'peak, MB',
          ],
          rows: [row(few), row(many)],
        },
      ],
      targets: [
        {
          promise: `ten times the rows take at most ${MORE_MB} MB more`,
          found: `${moreMb.toFixed(0)} MB`,
          met: moreMb <= MORE_MB,
        },
      ],
    };
  },
};

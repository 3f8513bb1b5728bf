import type { Knex } from 'knex';
import type { Contender, PluginDatabase } from '../../testbed/contenders';
import { AGAIN, entriesOf, interleave } from '../measure/interleave';
import { fillPools, withPlugins } from '../measure/run';
import {
  highest,
  lowest,
  median,
  ratio,
  withSpread,
} from '../measure/statistics';
import type { Benchmark, Context } from './benchmark';

const PLUGIN = 'throughput';
const CONNECTIONS = 10;
const AT_ONCE = 20;
const ENTITIES = 2_000;

const TABLES = `
  DROP TABLE IF EXISTS relations, search, final_entities;
  CREATE TABLE final_entities (
    entity_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    entity_ref text UNIQUE NOT NULL, final_entity text NOT NULL,
    hash text NOT NULL DEFAULT '');
  CREATE TABLE search (
    entity_id uuid REFERENCES final_entities, key text, value text);
  CREATE INDEX ON search (key, value);
  CREATE TABLE relations (
    source_entity_ref text, type text, target_entity_ref text);
  CREATE INDEX ON relations (source_entity_ref);
  INSERT INTO final_entities (entity_ref, final_entity)
    SELECT 'component:default/c' || n, json_build_object('kind', 'Component',
      'metadata', json_build_object('name', 'c' || n, 'description',
      repeat('what it is good for ', 40)))
    FROM generate_series(1, ${ENTITIES}) n;
  INSERT INTO search SELECT entity_id, 'metadata.name', entity_ref
    FROM final_entities`;

const anyRef = () =>
  `component:default/c${1 + Math.floor(Math.random() * ENTITIES)}`;

type Work = (database: PluginDatabase) => Promise<unknown>;

/** Roughly what the catalog does all day: two reads, and a write in five. */
async function catalogLike({ knex }: PluginDatabase): Promise<void> {
  await knex!('final_entities').where({ entity_ref: anyRef() }).first();
  await knex!('final_entities')
    .join('search', 'search.entity_id', 'final_entities.entity_id')
    .where({ key: 'metadata.name' })
    .andWhere('value', '>', anyRef())
    .orderBy('value')
    .limit(20)
    .select('final_entity');
  if (Math.random() < 0.2) await stitch(knex!, anyRef());
}

const stitch = (knex: Knex, ref: string) =>
  knex.transaction(async transaction => {
    const hash = String(Math.random());
    await transaction('final_entities')
      .where({ entity_ref: ref })
      .update({ hash });
    await transaction('relations').where({ source_entity_ref: ref }).delete();
    await transaction('relations').insert({
      source_entity_ref: ref,
      type: 'ownedBy',
      target_entity_ref: 'group:default/all',
    });
  });

const WORKLOADS: {
  name: string;
  work: Work;
  by: (who: Contender) => boolean;
}[] = [
  {
    name: 'select 1',
    work: database => database.query('select 1'),
    by: () => true,
  },
  {
    name: 'catalog-like',
    work: catalogLike,
    by: ({ name }) => name !== 'databricks',
  },
];

async function perSecond(
  { laboratory }: Context,
  contender: Contender,
  work: Work,
  durationMs: number,
): Promise<number> {
  return withPlugins(
    {
      laboratory,
      contender,
      pluginIds: [PLUGIN],
      settings: { poolMax: CONNECTIONS },
    },
    async ({ databases: [database] }) => {
      await fillPools([database], CONNECTIONS, 200);
      const begin = performance.now();
      let done = 0;
      const worker = async () => {
        while (performance.now() - begin < durationMs) {
          await work(database);
          done += 1;
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      return (done / (performance.now() - begin)) * 1000;
    },
  );
}

const createTables = ({ laboratory }: Context, contender: Contender) =>
  withPlugins(
    {
      laboratory,
      contender,
      pluginIds: [PLUGIN],
      settings: { poolMax: 1 },
    },
    ({ databases: [database] }) => database.query(TABLES),
  );

export const throughputBenchmark: Benchmark = {
  name: 'throughput',
  title: 'Throughput',
  async run(context) {
    const rounds = context.quick ? 2 : 5;
    const durationMs = context.quick ? 500 : 1_500;
    const rows: string[][] = [];
    const targets = [];
    for (const { name: workload, work, by } of WORKLOADS) {
      const entries = entriesOf(by);
      await createTables(context, entries[0].contender);
      const results = await interleave(entries, rounds, ({ contender }) =>
        perSecond(context, contender, work, durationMs),
      );
      const floor = results.get('static')!;
      for (const { name } of entries) {
        const found = results.get(name)!;
        const share = ratio(found, floor).toFixed(3);
        rows.push([workload, name, withSpread(found, 0), share]);
      }
      const again = results.get(AGAIN)!;
      const ours = results.get('ours')!;
      targets.push({
        promise: `${workload}: as many as stock Knex`,
        found:
          `${ratio(ours, floor).toFixed(3)} of it, A/A ${ratio(again, floor).toFixed(3)}, ` +
          `its runs ${(lowest(floor) / median(floor)).toFixed(2)} to ${(highest(floor) / median(floor)).toFixed(2)}`,
        met: median(ours) >= lowest([...floor, ...again]),
      });
    }
    return {
      method:
        `${AT_ONCE} callers on one plugin with ${CONNECTIONS} connections, ` +
        `${rounds} rounds of ${durationMs / 1000} s. Catalog-like: a read by ` +
        'reference, a search with a join, and a transaction of three writes ' +
        'one time in five',
      tables: [{ columns: ['', '', 'per second', 'against static'], rows }],
      targets,
    };
  },
};

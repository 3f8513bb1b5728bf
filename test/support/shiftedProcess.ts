import './shiftedDate';
import type { JsonObject } from '@backstage/types';
import { answerParent } from '../../testbed/answerParent';
import { lakebaseProcess, noticeLoss } from './lakebaseProcess';

// The entry of a process whose clock another one sets.
const { lakebase } = lakebaseProcess(JSON.parse(process.argv[2]) as JsonObject);
const knexOf = (pluginId: string) => lakebase.forPlugin(pluginId)!.getClient();

answerParent({
  query: async (pluginId: string, sql: string) => {
    const knex = await knexOf(pluginId);
    const { rows } = await knex.raw<{ rows: unknown[] }>(sql);
    return rows;
  },
  noticeLoss: async (pluginId: string) => noticeLoss(await knexOf(pluginId)),
});

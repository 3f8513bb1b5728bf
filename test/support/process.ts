import { ConfigReader } from '@backstage/config';
import type { JsonObject } from '@backstage/types';
import { Lakebase } from '../../src/lakebase';
import { keepingLogger } from './lakebase';

/** A process that is not told to exit: it ends when nothing holds it. */
async function main([manner, config]: string[]) {
  const shutdown: (() => void | Promise<void>)[] = [];
  const lakebase = Lakebase.create({
    rootConfig: new ConfigReader(JSON.parse(config) as JsonObject),
    logger: keepingLogger().logger,
    lifecycle: {
      addStartupHook: () => {},
      addShutdownHook: hook => shutdown.push(hook),
      addBeforeShutdownHook: () => {},
    },
    metadata: { getInstalledPlugins: () => Promise.resolve([]) },
    env: {},
  });
  await lakebase.prepareForBypassing();
  const database = lakebase.forPlugin('catalog')!;
  if (manner === 'waiting') return;

  const knex = await database.getClient();
  await knex.raw('select 1');
  if (manner === 'used and left') await knex.destroy();
  else for (const hook of shutdown) await hook();
}

void main(process.argv.slice(2));

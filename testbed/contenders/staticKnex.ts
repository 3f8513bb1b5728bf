import knexFactory from 'knex';
import type { Contender } from './contender';
import {
  applicationName,
  connectionOf,
  poolOf,
  separateKnexes,
  silentLog,
} from './knexDatabase';

/** The floor: nothing is cheaper than a password that never changes. */
export const staticKnex: Contender = {
  name: 'static',
  description: 'Knex with a password that never changes',
  mints: false,
  bounds: false,
  start: (target, settings) =>
    Promise.resolve(
      separateKnexes(pluginId =>
        knexFactory({
          client: 'pg',
          log: silentLog,
          connection: {
            ...connectionOf(target),
            password: target.staticPassword,
            application_name: applicationName(pluginId),
          },
          searchPath: [pluginId],
          pool: poolOf(settings),
        }),
      ),
    ),
};

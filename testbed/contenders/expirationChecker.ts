import knexFactory from 'knex';
import type { Contender } from './contender';
import {
  applicationName,
  connectionOf,
  poolOf,
  separateKnexes,
  silentLog,
} from './knexDatabase';
import { simpleMint } from './mint';

const HOUR_MS = 60 * 60_000;

/** 5 minutes of an hour, which is Backstage's default for Azure. */
const BUFFER = 5 / 60;

/**
 * What Backstage's own connector does for `connection.type: azure` and `rds`:
 * a connection function, and an expirationChecker beside the password.
 */
export const expirationChecker: Contender = {
  name: 'expirationChecker',
  description: 'Knex with a connection function and expirationChecker',
  mints: true,
  renewsAfter: 1 - BUFFER,
  bounds: false,
  start: (target, settings) => {
    const bufferMs = (settings.credentialLifeMs ?? HOUR_MS) * BUFFER;
    const mint = simpleMint(target);
    return Promise.resolve(
      separateKnexes(pluginId =>
        knexFactory({
          client: 'pg',
          log: silentLog,
          connection: async () => {
            const { token, expiresAt } = await mint();
            return {
              ...connectionOf(target),
              password: token,
              application_name: applicationName(pluginId),
              expirationChecker: () => expiresAt - bufferMs <= Date.now(),
            };
          },
          searchPath: [pluginId],
          pool: poolOf(settings),
        }),
      ),
    );
  },
};

import { Config } from '@backstage/config';
import { InputError } from '@backstage/errors';
import { isOnLakebase } from '../config/activation';
import { LAKEBASE_KEY } from '../config/config';
import { readEndpoints } from '../config/endpoints';
import { EndpointAccess } from './endpointAccess';
import type { Terminal } from './terminal';

/**
 * The way to the database of a plugin; without one, to what the plugins have
 * in common.
 *
 * @throws InputError
 */
export function accessFor(
  rootConfig: Config,
  { env, clock }: Pick<Terminal, 'env' | 'clock'>,
  pluginId?: string,
): EndpointAccess {
  const uses = readEndpoints(rootConfig, env);
  const base = uses.find(use => use.base);
  if (pluginId === undefined) {
    if (base) return new EndpointAccess(rootConfig, base, clock);
    const named = uses.flatMap(({ plugins }) => plugins);
    throw new InputError(
      named.length > 0
        ? `Only single plugins are on Lakebase. Name one: ${named.join(', ')}`
        : `No plugin is on Lakebase: ${LAKEBASE_KEY} is not configured`,
    );
  }
  const use = isOnLakebase(rootConfig, pluginId)
    ? (uses.find(({ plugins }) => plugins.includes(pluginId)) ?? base)
    : undefined;
  if (!use) {
    throw new InputError(
      `Plugin '${pluginId}' is not on Lakebase by this configuration`,
    );
  }
  return new EndpointAccess(rootConfig, use, clock, pluginId);
}

import { once } from 'node:events';
import { stringifyError } from '@backstage/errors';
import { loadBackend } from '../../testbed/backend';
import type { Failure, Report } from './backendProcess';
import { shelfModule } from './shelf';

// The entry of the process that BackendProcess forks.

const send = (report: Report) => process.send?.(report);

/** Backstage only logs these. */
const noteUnhandled = (error: unknown) =>
  send({ unhandled: error instanceof Error ? error.stack! : String(error) });

async function main(): Promise<void> {
  const backend = await loadBackend();
  const features = [
    import('@backstage/plugin-catalog-backend-module-scaffolder-entity-model'),
    import('@backstage/plugin-notifications-backend'),
    import('@backstage/plugin-proxy-backend'),
    import('@backstage/plugin-search-backend-module-techdocs'),
    import('@backstage/plugin-signals-backend'),
    import('@backstage/plugin-user-settings-backend'),
  ];
  for (const feature of features) backend.add(feature);
  backend.add(shelfModule);
  await Promise.all(features);

  // Replicas are to start at the same moment, however long they took to load.
  send({ loaded: true });
  await once(process, 'message');

  try {
    await backend.start();
    send({ failures: [] });
  } catch (error) {
    send({ failures: failures(error) });
  }
}

interface StartupError {
  result?: {
    plugins: {
      pluginId: string;
      failure?: { error: Error };
      modules: { failure?: { error: Error } }[];
    }[];
  };
}

function failures(error: unknown): Failure[] {
  const { result } = error as StartupError;
  if (!result) return [{ plugin: 'all', reason: stringifyError(error) }];
  return result.plugins.flatMap(({ pluginId: plugin, failure, modules }) =>
    [failure, ...modules.map(module => module.failure)]
      .filter(each => each !== undefined)
      .map(each => ({ plugin, reason: stringifyError(each.error) })),
  );
}

process.on('unhandledRejection', noteUnhandled);
process.on('uncaughtException', noteUnhandled);
// Whoever forked this process is gone, and nobody else would stop it.
process.once('disconnect', () => process.exit(1));
void main();

import { randomBytes } from 'node:crypto';
import { createBackend } from '@backstage/backend-defaults';
import { rootConfigServiceFactory } from '@backstage/backend-defaults/rootConfig';
import getPort from 'get-port';

export type Backend = ReturnType<typeof createBackend>;

const HOST = '127.0.0.1';

/** Backstage's own custom; another is taken when this one is not free. */
const WISHED_PORT = 7007;

/** Closing pools is bounded to half of this by the module. */
const STOP_TIMEOUT_MS = 20_000;

/** Where Backstage answers, and the token that it answers to. */
export interface Address {
  url: string;
  token: string;
}

/** Chooses the address and hands it to the configuration file. */
export async function chooseAddress(): Promise<Address> {
  const port = await getPort({ host: HOST, port: WISHED_PORT });
  const url = `http://${HOST}:${port}`;
  const token = randomBytes(24).toString('hex');
  Object.assign(process.env, {
    DEMO_URL: url,
    DEMO_PORT: String(port),
    DEMO_TOKEN: token,
  });
  return { url, token };
}

/**
 * Puts the backend together.
 *
 * @throws when a feature cannot be loaded, while there is nothing to stop yet.
 */
export async function loadBackend(): Promise<Backend> {
  // The guest provider works in development only.
  process.env.NODE_ENV = 'development';
  const backend = createBackend();
  const features = [
    import('../src'),
    import('@backstage/plugin-auth-backend'),
    import('@backstage/plugin-auth-backend-module-guest-provider'),
    import('@backstage/plugin-catalog-backend'),
    import('@backstage/plugin-events-backend'),
    import('@backstage/plugin-permission-backend'),
    import('@backstage/plugin-permission-backend-module-allow-all-policy'),
    import('@backstage/plugin-scaffolder-backend'),
    import('@backstage/plugin-search-backend'),
    import('@backstage/plugin-search-backend-module-catalog'),
    import('@backstage/plugin-search-backend-module-pg'),
    import('@backstage/plugin-techdocs-backend'),
  ];
  for (const feature of features) backend.add(feature);
  await Promise.all(features);
  return backend;
}

/**
 * Starts the backend without its exit handlers. They end the process as soon
 * as Backstage has stopped, and with 0, but the database is to stop after it.
 */
export function startBackend(
  backend: Backend,
  configFiles: string[],
): Promise<unknown> {
  const argv = configFiles.flatMap(file => ['--config', file]);
  backend.add(rootConfigServiceFactory({ argv, watch: false }));

  const handlers = () =>
    ['SIGINT', 'SIGTERM', 'beforeExit'].flatMap(event =>
      process
        .rawListeners(event)
        .map(listener => ({ event, listener: listener as () => void })),
    );
  const ours = new Set(handlers().map(({ listener }) => listener));
  const started = backend.start();
  for (const { event, listener } of handlers()) {
    if (!ours.has(listener)) process.off(event, listener);
  }
  return started;
}

/** Stops the backend; one that does not must not keep the database running. */
export async function stopBackend(backend: Backend): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error('Backstage did not stop')),
      STOP_TIMEOUT_MS,
    );
  });
  await Promise.race([backend.stop(), timeout]).finally(() =>
    clearTimeout(timer),
  );
}

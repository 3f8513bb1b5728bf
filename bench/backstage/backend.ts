import { once } from 'node:events';
import { createBackend } from '@backstage/backend-defaults';
import { stringifyError } from '@backstage/errors';
import { companyPlugins } from './companyPlugins';
import type { Report } from './replica';

// The entry of the process that Replica forks.

const send = (report: Report) => process.send?.(report);

async function load() {
  const backend = createBackend();
  const features = [
    import('@backstage/plugin-auth-backend'),
    import('@backstage/plugin-catalog-backend'),
    import('@backstage/plugin-events-backend'),
    import('@backstage/plugin-notifications-backend'),
    import('@backstage/plugin-permission-backend'),
    import('@backstage/plugin-permission-backend-module-allow-all-policy'),
    import('@backstage/plugin-proxy-backend'),
    import('@backstage/plugin-scaffolder-backend'),
    import('@backstage/plugin-search-backend'),
    import('@backstage/plugin-search-backend-module-catalog'),
    import('@backstage/plugin-search-backend-module-pg'),
    import('@backstage/plugin-signals-backend'),
    import('@backstage/plugin-techdocs-backend'),
    import('@backstage/plugin-user-settings-backend'),
  ];
  for (const feature of features) backend.add(feature);
  for (const plugin of companyPlugins) backend.add(plugin);
  if (process.argv.includes('--lakebase')) backend.add(import('../../src'));
  await Promise.all(features);
  return backend;
}

async function main(): Promise<void> {
  const backend = await load();
  // What is measured is the start, not how long it takes to load the code.
  send({ loaded: true });
  await once(process, 'message');
  try {
    await backend.start();
    send({ started: true });
  } catch (error) {
    send({ failure: stringifyError(error) });
  }
}

// Whoever forked this process is gone, and nobody else would stop it.
process.once('disconnect', () => process.exit(1));
void main();

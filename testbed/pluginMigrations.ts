import { dirname, join } from 'node:path';

/** Where the migrations of one of Backstage's own plugins are. */
export const migrationsOf = (pluginId: string): string =>
  join(
    dirname(
      require.resolve(`@backstage/plugin-${pluginId}-backend/package.json`),
    ),
    'migrations',
  );

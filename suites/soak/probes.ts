import {
  type BackendFeature,
  coreServices,
  createBackendModule,
} from '@backstage/backend-plugin-api';

const PLUGINS = [
  'auth',
  'catalog',
  'events',
  'ledger',
  'notifications',
  'permission',
  'scaffolder',
  'search',
  'techdocs',
  'user-settings',
];

/** Lets the pool of every plugin be asked, used by requests or not. */
export class Probes {
  readonly #probes = new Map<string, () => Promise<unknown>>();

  /** A module of each plugin, which gets that plugin's own database. */
  get features(): BackendFeature[] {
    return PLUGINS.map(pluginId =>
      createBackendModule({
        pluginId,
        moduleId: 'probe',
        register: env =>
          env.registerInit({
            deps: { database: coreServices.database },
            init: ({ database }) => {
              this.#probes.set(pluginId, async () => {
                const knex = await database.getClient();
                await knex.raw('select 1');
              });
              return Promise.resolve();
            },
          }),
      }),
    );
  }

  /** The plugins whose pool answers. */
  async answering(): Promise<string[]> {
    const asked = [...this.#probes].map(([pluginId, probe]) =>
      probe().then(
        () => [pluginId],
        () => [],
      ),
    );
    return (await Promise.all(asked)).flat();
  }
}

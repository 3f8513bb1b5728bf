import {
  coreServices,
  createBackendModule,
} from '@backstage/backend-plugin-api';
import type { Entity } from '@backstage/catalog-model';
import {
  catalogProcessingExtensionPoint,
  type EntityProvider,
} from '@backstage/plugin-catalog-node';

/** What the catalog is filled with. */
export const BOOKS = Array.from(
  { length: 2_000 },
  (_, index) => `book-${String(index + 1).padStart(4, '0')}`,
);

/** The scheduled task that fills it. */
export const SHELF_TASK = 'shelf-refresh';

const LOCATION = 'url:https://library.example.com/shelf';

const book = (name: string): Entity => ({
  apiVersion: 'backstage.io/v1alpha1',
  kind: 'Component',
  metadata: {
    name,
    annotations: {
      'backstage.io/managed-by-location': LOCATION,
      'backstage.io/managed-by-origin-location': LOCATION,
    },
  },
  spec: { type: 'book', lifecycle: 'production', owner: 'librarians' },
});

/** A catalog module as installations write it: a provider on a schedule. */
export const shelfModule = createBackendModule({
  pluginId: 'catalog',
  moduleId: 'shelf',
  register(env) {
    env.registerInit({
      deps: {
        catalog: catalogProcessingExtensionPoint,
        scheduler: coreServices.scheduler,
      },
      init({ catalog, scheduler }) {
        const tasks = scheduler.createScheduledTaskRunner({
          frequency: { hours: 1 },
          timeout: { minutes: 5 },
        });
        const provider: EntityProvider = {
          getProviderName: () => 'shelf',
          connect: connection =>
            tasks.run({
              id: SHELF_TASK,
              fn: () =>
                connection.applyMutation({
                  type: 'full',
                  entities: BOOKS.map(name => ({
                    entity: book(name),
                    locationKey: 'shelf',
                  })),
                }),
            }),
        };
        catalog.addEntityProvider(provider);
        return Promise.resolve();
      },
    });
  },
});

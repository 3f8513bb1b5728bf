import { RootInstanceMetadataServicePluginInfo } from '@backstage/backend-plugin-api';
import type { Knex } from 'knex';

/** Id of the search plugin. */
export const SEARCH = 'search';

/** Of @backstage/plugin-search-backend-module-pg. */
const POSTGRES_ENGINE = 'postgres-engine';

/** All other modules may be engines, whatever they call themselves. */
const FEEDS_THE_INDEX = /collator|decorator/i;

const IN_MEMORY =
  'Search runs on its in-memory engine: results differ between replicas and ' +
  'are lost at a restart. ';

/**
 * Notices that search is not on Postgres, which it does not say by itself: the
 * Postgres engine takes any error of its first query for an unsuitable
 * database, and leaves search to the engine that needs none.
 */
export class SearchEngineCheck {
  #watched = false;
  #answered = false;

  /** Watches for the answer to the one query by which the engine decides. */
  watch(knex: Knex): void {
    if (this.#watched) return;
    this.#watched = true;
    const listen = (_: unknown, { sql }: { sql: string }) => {
      if (!/server_version/i.test(sql)) return;
      this.#answered = true;
      knex.removeListener('query-response', listen);
    };
    knex.on('query-response', listen);
  }

  /** The warning for the operator, once all plugins have started. */
  complaint(
    installed: readonly RootInstanceMetadataServicePluginInfo[],
  ): string | undefined {
    const search = installed.find(({ pluginId }) => pluginId === SEARCH);
    const engines = search?.modules.filter(
      ({ moduleId }) => !FEEDS_THE_INDEX.test(moduleId),
    );
    if (engines?.length === 0) {
      return (
        IN_MEMORY +
        'To keep the index in Postgres, add the engine to the backend: ' +
        "backend.add(import('@backstage/plugin-search-backend-module-pg'))"
      );
    }
    const ofPostgres = engines?.some(
      ({ moduleId }) => moduleId === POSTGRES_ENGINE,
    );
    if (!ofPostgres || this.#answered) return undefined;
    return (
      IN_MEMORY +
      'The Postgres engine is installed, but its query for the version of ' +
      'the database failed at start. Restart the backend'
    );
  }
}

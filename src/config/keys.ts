export const DATABASE_KEY = 'backend.database';

/** Where the block lies in app-config. */
export const LAKEBASE_KEY = `${DATABASE_KEY}.lakebase`;

/** Where the settings of one plugin lie. */
export const pluginKey = (pluginId: string) =>
  `${DATABASE_KEY}.plugin.${pluginId}`;

/** A setting with the place where it was found, for messages. */
export interface Sourced<T> {
  value: T;
  source: string;
}

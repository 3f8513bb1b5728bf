/** One database of the portal, as a catalog of Unity Catalog. */
export interface Registration {
  catalog: string;
  database: string;
  /** Of the workspace's REST API. */
  path: string;
  body: {
    spec: {
      postgres_database: string;
      branch: string;
      create_database_if_missing: false;
    };
  };
}

/** The call that registers a database; POST, by whoever may CREATE CATALOG. */
export const registrationOf = (
  catalog: string,
  database: string,
  branch: string,
): Registration => ({
  catalog,
  database,
  path: `/api/2.0/postgres/catalogs?catalog_id=${encodeURIComponent(catalog)}`,
  body: {
    spec: {
      postgres_database: database,
      branch,
      create_database_if_missing: false,
    },
  },
});

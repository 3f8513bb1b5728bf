/** Sources, and the tests that are to notice whatever is changed in them. */
export interface Group {
  mutate: string[];
  /** In the folder of the tests, without their ending. */
  tests: string[];
  needsPostgres?: boolean;
}

/** Where a small mistake costs most, or shows least. */
export const GROUPS: Record<string, Group> = {
  refresher: {
    mutate: ['src/tokenRefresher.ts', 'src/refreshPolicy.ts'],
    tests: ['tokenRefresher/*', 'credentialLog'],
  },
  configuration: {
    mutate: ['src/config/*.ts'],
    tests: ['config/*'],
  },
  faults: {
    mutate: [
      'src/connections/postgresFaults.ts',
      'src/connections/cures.ts',
      'src/databricks/workspaceErrors.ts',
    ],
    tests: [
      'connections/cures',
      'connections/postgresFaults',
      'databricks/workspace.errors',
    ],
  },
  budget: {
    mutate: ['src/connections/connectionBudget.ts'],
    tests: ['connections/connectionBudget'],
  },
  opening: {
    mutate: ['src/connections/openConnection.ts'],
    tests: [
      'connections/refusedLogins',
      'connections/unknownHost',
      'connections/leftovers',
      'faults/logins',
      'faults/network',
      'secrets',
    ],
    needsPostgres: true,
  },
};

import type { RefusalRule } from './refusalRule';

/** What the platform says of a SQL warehouse, before it runs a statement. */
export const STATEMENT_RULES: RefusalRule[] = [
  {
    code: 'warehouse-stopped',
    surfaces: ['statements'],
    text: /warehouse.{0,80}(stopped|not running|cannot be started|being deleted)/i,
    errorCodes: [],
    statuses: [],
    remedy: () =>
      'Start the warehouse in the workspace, or name another one with --warehouse',
  },
  {
    code: 'permission-denied',
    surfaces: ['statements'],
    errorCodes: ['PERMISSION_DENIED', 'CUSTOMER_UNAUTHORIZED'],
    statuses: [403],
    remedy: s =>
      `Give ${s.who} CAN USE on the SQL warehouse, and the entitlement ` +
      '"Databricks SQL access" in the workspace',
  },
  {
    code: 'warehouse-missing',
    surfaces: ['statements'],
    text: /(warehouse|endpoint).{0,80}(not exist|not found|not a valid|invalid)/i,
    errorCodes: ['NOT_FOUND', 'RESOURCE_DOES_NOT_EXIST'],
    statuses: [404],
    remedy: s =>
      `Check --warehouse or DATABRICKS_WAREHOUSE_ID: the warehouses of ` +
      `${s.workspaceHost} are listed by databricks warehouses list`,
  },
  {
    code: 'statement-failed',
    surfaces: ['statements'],
    errorCodes: ['BAD_REQUEST', 'INVALID_PARAMETER_VALUE', 'INVALID_STATE'],
    statuses: [400],
    remedy: s =>
      'Check --warehouse or DATABRICKS_WAREHOUSE_ID, and that ' +
      `${s.workspaceHost} is a workspace with Databricks SQL`,
  },
];

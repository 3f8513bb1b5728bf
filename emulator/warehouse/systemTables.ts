import type { DuckDBConnection } from '@duckdb/node-api';
import { randomUUID } from 'node:crypto';
import type { Call } from '../controlPlane/callLog';
import { COMPUTE_SKU, STORAGE_SKU, type Usage } from './meter';

/** Databricks calls the catalog `system`, a name that the engine keeps for itself. */
export const SYSTEM = 'databricks_system';

const TABLES = `
  ATTACH ':memory:' AS ${SYSTEM};
  CREATE SCHEMA ${SYSTEM}.billing;
  CREATE SCHEMA ${SYSTEM}.access;
  CREATE TABLE ${SYSTEM}.billing.usage (
    account_id VARCHAR, workspace_id VARCHAR, record_id VARCHAR,
    sku_name VARCHAR, cloud VARCHAR,
    usage_start_time TIMESTAMP, usage_end_time TIMESTAMP, usage_date DATE,
    custom_tags MAP(VARCHAR, VARCHAR),
    usage_unit VARCHAR, usage_quantity DECIMAL(38, 18),
    usage_metadata STRUCT(project_id VARCHAR, branch_id VARCHAR,
      endpoint_id VARCHAR, database_instance_id VARCHAR),
    identity_metadata STRUCT(run_as VARCHAR, owned_by VARCHAR, created_by VARCHAR),
    record_type VARCHAR, ingestion_date DATE,
    billing_origin_product VARCHAR,
    product_features STRUCT(lakebase STRUCT(compute_type VARCHAR, storage_type VARCHAR)),
    usage_type VARCHAR);
  CREATE TABLE ${SYSTEM}.billing.list_prices (
    price_start_time TIMESTAMP, price_end_time TIMESTAMP, account_id VARCHAR,
    sku_name VARCHAR, cloud VARCHAR, currency_code VARCHAR, usage_unit VARCHAR,
    pricing STRUCT("default" DECIMAL(38, 18)));
  CREATE TABLE ${SYSTEM}.access.audit (
    version VARCHAR, event_time TIMESTAMP, event_date DATE, workspace_id BIGINT,
    source_ip_address VARCHAR, user_agent VARCHAR, session_id VARCHAR,
    user_identity STRUCT(email VARCHAR, subject_name VARCHAR),
    service_name VARCHAR, action_name VARCHAR, request_id VARCHAR,
    request_params MAP(VARCHAR, VARCHAR),
    response STRUCT(status_code INTEGER, error_message VARCHAR, result VARCHAR),
    audit_level VARCHAR, account_id VARCHAR, event_id VARCHAR)`;

const ACCOUNT = '0b5a5f6e-6a0e-4d6f-8f39-0d9f4f0f7f11';

/** In USD, per unit, until somebody changes them. Indicative, not certain. */
const PRICES = { [COMPUTE_SKU]: 0.111, [STORAGE_SKU]: 0.35 };

const UNITS: Record<string, string> = {
  [COMPUTE_SKU]: 'DBU',
  [STORAGE_SKU]: 'DSU',
};

const EPOCH = Date.parse('2020-01-01T00:00:00Z');

/** What an account knows of itself, in the shape that the platform documents. */
export class SystemTables {
  readonly #engine: DuckDBConnection;

  static async create(engine: DuckDBConnection): Promise<SystemTables> {
    const tables = new SystemTables(engine);
    await engine.run(TABLES);
    for (const [sku, price] of Object.entries(PRICES))
      await tables.setPrice(sku, price, EPOCH);
    return tables;
  }

  private constructor(engine: DuckDBConnection) {
    this.#engine = engine;
  }

  /** From a moment on. */
  async setPrice(sku: string, price: number, from: number): Promise<void> {
    await this.#engine.run(
      `UPDATE ${SYSTEM}.billing.list_prices SET price_end_time = $from
       WHERE sku_name = $sku AND price_end_time IS NULL`,
      { from: timestamp(from), sku },
    );
    await this.#insert('billing.list_prices', [
      {
        price_start_time: timestamp(from),
        price_end_time: null,
        account_id: ACCOUNT,
        sku_name: sku,
        cloud: 'AWS',
        currency_code: 'USD',
        usage_unit: UNITS[sku] ?? 'DBU',
        pricing: { default: price },
      },
    ]);
  }

  /** As if there had never been one. */
  async removePrices(sku: string): Promise<void> {
    await this.#engine.run(
      `DELETE FROM ${SYSTEM}.billing.list_prices WHERE sku_name = $sku`,
      { sku },
    );
  }

  async addUsage(usage: readonly Usage[], workspaceId: string): Promise<void> {
    await this.#insert(
      'billing.usage',
      usage.map(
        ({ usage_start_time, usage_end_time, usage_metadata, ...row }) => ({
          account_id: ACCOUNT,
          workspace_id: workspaceId,
          record_id: randomUUID(),
          cloud: 'AWS',
          ...row,
          usage_metadata: { ...usage_metadata, database_instance_id: null },
          usage_start_time: timestamp(usage_start_time),
          usage_end_time: timestamp(usage_end_time),
          usage_date: timestamp(usage_start_time).slice(0, 10),
          record_type: 'ORIGINAL',
          ingestion_date: timestamp(usage_end_time).slice(0, 10),
          billing_origin_product: 'LAKEBASE',
          usage_type:
            row.usage_unit === 'DBU' ? 'COMPUTE_TIME' : 'STORAGE_SPACE',
        }),
      ),
    );
  }

  async addAudit(calls: readonly Call[], workspaceId: string): Promise<void> {
    await this.#insert(
      'access.audit',
      calls.flatMap(call => {
        const action = call.route && ACTIONS[call.route];
        if (!action || call.status === undefined) return [];
        const [service_name, action_name] = action;
        return [
          {
            version: '2.0',
            event_time: timestamp(call.at),
            event_date: timestamp(call.at).slice(0, 10),
            workspace_id: workspaceId,
            source_ip_address: '127.0.0.1',
            user_agent: 'node',
            user_identity: { email: call.caller ?? null, subject_name: null },
            service_name,
            action_name,
            request_id: randomUUID(),
            request_params: paramsOf(call),
            response: {
              status_code: call.status,
              error_message: null,
              result: null,
            },
            audit_level: 'WORKSPACE_LEVEL',
            account_id: ACCOUNT,
            event_id: randomUUID(),
          },
        ];
      }),
    );
  }

  /** As where the platform leaves out what a row is about. */
  async forget(field: 'branch_id' | 'endpoint_id'): Promise<void> {
    await this.#engine.run(
      `UPDATE ${SYSTEM}.billing.usage SET usage_metadata =
         struct_pack(project_id := usage_metadata.project_id,
           branch_id := ${field === 'branch_id' ? 'NULL' : 'usage_metadata.branch_id'},
           endpoint_id := ${field === 'endpoint_id' ? 'NULL' : 'usage_metadata.endpoint_id'},
           database_instance_id := NULL)`,
    );
  }

  /** As where the platform takes back what it has billed. */
  async retractAll(): Promise<void> {
    await this.#engine.run(
      `INSERT INTO ${SYSTEM}.billing.usage
       SELECT * REPLACE (-usage_quantity AS usage_quantity, 'RETRACTION' AS record_type)
       FROM ${SYSTEM}.billing.usage`,
    );
  }

  async #insert(table: string, rows: object[]): Promise<void> {
    if (rows.length === 0) return;
    const described = await this.#engine.runAndReadAll(
      `SELECT column_name, column_type FROM (DESCRIBE ${SYSTEM}.${table})`,
    );
    const columns = described.getRowsJson() as [name: string, type: string][];
    const types = new Map(columns);
    const names = [...types.keys()];
    const values = names
      .map(name =>
        types.get(name) === 'VARCHAR'
          ? `json_extract_string(row.${name}, '$')`
          : `CAST(row.${name} AS ${types.get(name)})`,
      )
      .join(', ');
    const shape = JSON.stringify([
      Object.fromEntries(names.map(name => [name, 'JSON'])),
    ]);
    await this.#engine.run(
      `INSERT INTO ${SYSTEM}.${table} SELECT ${values}
       FROM (SELECT unnest(from_json($rows, '${shape}')) AS row)`,
      { rows: JSON.stringify(rows) },
    );
  }
}

/** By which service and action each call is known; the names are not certain. */
const ACTIONS: Partial<
  Record<NonNullable<Call['route']>, [service: string, action: string]>
> = {
  credentials: ['databaseInstances', 'generateDatabaseCredential'],
  instanceCredentials: ['databaseInstances', 'generateDatabaseCredential'],
  createBranch: ['postgres', 'createBranch'],
  updateBranch: ['postgres', 'updateBranch'],
  deleteBranch: ['postgres', 'deleteBranch'],
  undeleteBranch: ['postgres', 'undeleteBranch'],
  createEndpoint: ['postgres', 'createEndpoint'],
  updateEndpoint: ['postgres', 'updateEndpoint'],
  createCatalog: ['databaseInstances', 'createDatabaseCatalog'],
};

/** All that came with it, as text. */
const paramsOf = ({ path, query, body }: Call): Record<string, string> => ({
  name: path.replace('/api/2.0/postgres/', ''),
  ...query,
  ...Object.fromEntries(
    Object.entries(body ?? {}).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  ),
});

const timestamp = (at: number) =>
  new Date(at).toISOString().replace('T', ' ').replace('Z', '');

import { readWarehouseId, type Warehouse } from '../../databricks/warehouse';
import type { Project } from '../branch/project';
import type { Terminal } from '../terminal';

export interface WarehouseOptions {
  config?: string[];
  days: number;
  warehouse?: string;
}

const DAY_MS = 86_400_000;

/** When the days began that are asked for. */
export const beginOf = (
  { days }: WarehouseOptions,
  { clock }: Terminal,
): Date => new Date(clock.wall() - days * DAY_MS);

/**
 * The warehouse that is asked for.
 *
 * @returns undefined where none is.
 * @throws ConfigurationError
 */
export function warehouseOf(
  { warehouse }: WarehouseOptions,
  project: Project,
  { env }: Terminal,
): Warehouse | undefined {
  const { DATABRICKS_WAREHOUSE_ID: ambient } = env;
  if (warehouse !== undefined) {
    return project.warehouse(readWarehouseId(warehouse, '--warehouse'));
  }
  if (!ambient) return undefined;
  return project.warehouse(readWarehouseId(ambient, 'DATABRICKS_WAREHOUSE_ID'));
}

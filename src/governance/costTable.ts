import { orderBy, sumBy } from 'lodash';
import type { Row } from '../databricks/warehouse';

/** What one branch, endpoint or day has used of one kind of thing. */
export interface CostLine {
  day?: string;
  /** The platform's ids; missing where the bill names none. */
  branchUid?: string;
  endpointUid?: string;
  /** The names that people gave, where somebody still knows them. */
  branch?: string;
  endpoint?: string;
  /** Whether that branch is gone. */
  deleted?: boolean;
  /** `COMPUTE`, or a kind of storage. */
  kind: string;
  unit: string;
  units: number;
  /** Those for which there is no list price. */
  unpricedUnits: number;
  /** Missing where nothing of it has a price. */
  listPrice?: number;
}

export interface CostTable {
  lines: CostLine[];
  listPrice: number;
  /** By unit: what the sum of prices leaves out. */
  unpriced: Record<string, number>;
  /** Up to when the bill goes. */
  newest?: Date;
}

/** What the bill calls by ids that nobody remembers. */
export interface KnownNames {
  branches: ReadonlyMap<string, { id: string; deleted: boolean }>;
  /** With the uid of the branch, which a bill may leave out. */
  endpoints: ReadonlyMap<string, { id: string; branchUid?: string }>;
}

export function costTable(
  rows: readonly Row[],
  { branches, endpoints }: KnownNames,
): CostTable {
  const lines = rows.map((row): CostLine => {
    const endpointUid = row.endpoint ?? undefined;
    const endpoint = endpointUid ? endpoints.get(endpointUid) : undefined;
    const branchUid = row.branch ?? endpoint?.branchUid;
    const branch = branchUid ? branches.get(branchUid) : undefined;
    return {
      day: row.day ?? undefined,
      branchUid,
      endpointUid,
      branch: branch?.id,
      endpoint: endpoint?.id,
      deleted: branch?.deleted,
      kind: row.kind ?? '',
      unit: row.unit ?? '',
      units: Number(row.units ?? 0),
      unpricedUnits: Number(row.unpriced_units ?? 0),
      listPrice: row.list_price == null ? undefined : Number(row.list_price),
    };
  });
  const unpriced: Record<string, number> = {};
  for (const { unit, unpricedUnits } of lines) {
    if (unpricedUnits !== 0)
      unpriced[unit] = (unpriced[unit] ?? 0) + unpricedUnits;
  }
  const newest = rows.flatMap(row => row.newest ?? []).sort();
  return {
    // Days in their order, all else by what it costs.
    lines: orderBy(
      lines,
      ['day', line => line.listPrice ?? -1, 'branch', 'kind'],
      ['asc', 'desc', 'asc', 'asc'],
    ),
    listPrice: sumBy(lines, line => line.listPrice ?? 0),
    unpriced,
    newest: newest.length > 0 ? new Date(newest.at(-1)!) : undefined,
  };
}

import type { BranchRecord } from '../controlPlane/resources';
import type { EndpointHistory, Span } from '../controlPlane/endpointHistory';

const HOUR_MS = 3_600_000;
const BYTES_PER_GB = 1_000_000_000;

/** How many hours a month has on a bill. */
const HOURS_PER_MONTH = 730;

/** Made up, like all units here: what the platform charges a CU is not known. */
export const DBU_PER_CU_HOUR = 1;

export const COMPUTE_SKU = 'PREMIUM_DATABASE_SERVERLESS_COMPUTE_US_EAST';
export const STORAGE_SKU = 'PREMIUM_DATABRICKS_STORAGE_US_EAST';

/** What part of a branch's size each kind of storage has. */
const STORAGE_PARTS = {
  BRANCH_DATA_STORAGE: { expiring: 0, lasting: 1 },
  BRANCH_CHANGE_STORAGE: { expiring: 0.01, lasting: 0 },
  BRANCH_HISTORY_STORAGE: { expiring: 0, lasting: 0.1 },
};

/** A row of `system.billing.usage`, without what all rows share. */
export interface Usage {
  sku_name: string;
  usage_unit: 'DBU' | 'DSU';
  usage_start_time: number;
  usage_end_time: number;
  usage_quantity: number;
  usage_metadata: {
    project_id: string;
    branch_id: string | null;
    endpoint_id: string | null;
  };
  product_features: {
    lakebase: { compute_type: string | null; storage_type: string | null };
  };
}

/** What endpoints and branches have used since the last look, hour by hour. */
export class Meter {
  #metered: number;

  constructor(since: number) {
    this.#metered = since;
  }

  read(
    now: number,
    endpoints: readonly EndpointHistory[],
    branches: readonly (BranchRecord & { projectUid: string; bytes: number })[],
  ): Usage[] {
    const since = { from: this.#metered, until: now };
    this.#metered = now;
    const computes = endpoints.flatMap(endpoint => computeOf(endpoint, since));
    const storage = branches.flatMap(branch => {
      const { createdAt, deletedAt = now } = branch;
      const there = overlap(since, { from: createdAt, until: deletedAt });
      return there ? storageOf(branch, there) : [];
    });
    return [...computes, ...storage];
  }
}

function computeOf(endpoint: EndpointHistory, since: Span): Usage[] {
  const { uid, branchUid, projectUid, sizes, awake } = endpoint;
  return sizes.flatMap((size, index) => {
    const until = sizes[index + 1]?.at ?? endpoint.removedAt ?? Infinity;
    return awake
      .flatMap(
        span =>
          overlap(since, overlap(span, { from: size.at, until }) ?? NEVER) ??
          [],
      )
      .flatMap(hoursOf)
      .map(hour => ({
        sku_name: COMPUTE_SKU,
        usage_unit: 'DBU' as const,
        ...timesOf(hour),
        usage_quantity: size.cu * inHours(hour) * DBU_PER_CU_HOUR,
        usage_metadata: {
          project_id: projectUid,
          branch_id: branchUid,
          endpoint_id: uid,
        },
        product_features: {
          lakebase: {
            compute_type: 'COMPUTE_NODE_ALWAYS_ON_MIN',
            storage_type: null,
          },
        },
      }));
  });
}

/** It belongs to the project: the platform names neither branch nor endpoint. */
const storageOf = (
  {
    expiresAt,
    projectUid,
    bytes,
  }: Pick<BranchRecord, 'expiresAt'> & { projectUid: string; bytes: number },
  there: Span,
): Usage[] =>
  Object.entries(STORAGE_PARTS).flatMap(([storage_type, parts]) => {
    const part = expiresAt === undefined ? parts.lasting : parts.expiring;
    if (part === 0) return [];
    return hoursOf(there).map(hour => ({
      sku_name: STORAGE_SKU,
      usage_unit: 'DSU' as const,
      ...timesOf(hour),
      usage_quantity:
        (part * (bytes / BYTES_PER_GB) * inHours(hour)) / HOURS_PER_MONTH,
      usage_metadata: {
        project_id: projectUid,
        branch_id: null,
        endpoint_id: null,
      },
      product_features: { lakebase: { compute_type: null, storage_type } },
    }));
  });

const NEVER: Span = { from: 0, until: 0 };

function overlap(one: Span, other: Span): Span | undefined {
  const from = Math.max(one.from, other.from);
  const until = Math.min(one.until, other.until);
  return from < until ? { from, until } : undefined;
}

/** Bills are by the hour of the clock. */
function hoursOf({ from, until }: Span): Span[] {
  const hours: Span[] = [];
  for (let begin = from; begin < until;) {
    const end = Math.min(until, (Math.floor(begin / HOUR_MS) + 1) * HOUR_MS);
    hours.push({ from: begin, until: end });
    begin = end;
  }
  return hours;
}

const inHours = ({ from, until }: Span) => (until - from) / HOUR_MS;

const timesOf = ({ from, until }: Span) => ({
  usage_start_time: from,
  usage_end_time: until,
});

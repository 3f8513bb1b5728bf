import { median, quantileSorted } from 'simple-statistics';

export { median };

/** Percentiles of many values, which are sorted once. */
export function percentiles(values: number[]) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) =>
    sorted.length === 0 ? NaN : quantileSorted(sorted, share);
  return {
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
    p999: at(0.999),
    max: at(1),
  };
}

/** How much more some took than others, pair by pair, in the middle. */
export const medianDifference = (some: number[], others: number[]) =>
  median(some.map((value, index) => value - others[index]));

export const lowest = (values: number[]) => Math.min(...values);
export const highest = (values: number[]) => Math.max(...values);

/** How far two runs of the same thing lie apart: 1 means not at all. */
export const ratio = (one: number[], other: number[]) =>
  median(one) / median(other);

/** A median with the lowest and the highest run. */
export function withSpread(values: number[], digits = 1): string {
  const [mid, low, high] = [
    median(values),
    lowest(values),
    highest(values),
  ].map(value => value.toFixed(digits));
  return values.length === 1 ? mid : `${mid} (${low} to ${high})`;
}

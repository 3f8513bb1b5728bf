import { median } from '../measure/statistics';

/** Ours, and what it is held against; twice, to see how far equals differ. */
export const CONTENDERS = ['ours', 'stock', 'stock again'] as const;
export type Contender = (typeof CONTENDERS)[number];

/** What each run of each contender took; without unit here. */
export type Samples = Record<Contender, number[]>;

export interface Comparison {
  samples: Samples;
  /** Medians. */
  ours: number;
  stock: number;
  /** Ours by stock, and stock by itself. */
  ratio: number;
  ratioOfEquals: number;
  /** Below the slowest run of stock. */
  withinSpread: boolean;
}

export function compare(samples: Samples): Comparison {
  const ofStock = [...samples.stock, ...samples['stock again']];
  const ours = median(samples.ours);
  const stock = median(ofStock);
  return {
    samples,
    ours,
    stock,
    ratio: ours / stock,
    ratioOfEquals: median(samples['stock again']) / median(samples.stock),
    withinSpread: ours <= Math.max(...ofStock),
  };
}

/**
 * Runs all contenders once per round, so that whatever else the machine does
 * meets all of them. Each round begins with another one.
 */
export async function interleave<T>(
  what: string,
  rounds: number,
  run: (contender: Contender) => Promise<T>,
): Promise<Record<Contender, T[]>> {
  const results: Record<Contender, T[]> = {
    ours: [],
    stock: [],
    'stock again': [],
  };
  for (let round = 0; round < rounds; round++) {
    for (let place = 0; place < CONTENDERS.length; place++) {
      const contender = CONTENDERS[(round + place) % CONTENDERS.length];
      console.error(`${what}, round ${round + 1} of ${rounds}: ${contender}`);
      results[contender].push(await run(contender));
    }
  }
  return results;
}

/** Compares one number of each result. */
export const compareBy = <T>(
  results: Record<Contender, T[]>,
  number: (result: T) => number,
): Comparison =>
  compare({
    ours: results.ours.map(number),
    stock: results.stock.map(number),
    'stock again': results['stock again'].map(number),
  });

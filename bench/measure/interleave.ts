import {
  contenders,
  staticKnex,
  type Contender,
} from '../../testbed/contenders';

/** A contender in one run: the floor takes part twice, to show the noise. */
export interface Entry {
  name: string;
  contender: Contender;
}

export const AGAIN = 'static again';

/** Those who can take part here, and the floor a second time at the end. */
export function entriesOf(takesPart: (contender: Contender) => boolean) {
  const able = contenders.filter(
    contender => !contender.unavailable && takesPart(contender),
  );
  const entries: Entry[] = able.map(contender => ({
    name: contender.name,
    contender,
  }));
  return [...entries, { name: AGAIN, contender: staticKnex }];
}

/** Runs all entries once per round, so that a slow minute is everybody's. */
export async function interleave<Result>(
  entries: Entry[],
  rounds: number,
  run: (entry: Entry, round: number) => Promise<Result>,
): Promise<Map<string, Result[]>> {
  const results = new Map<string, Result[]>();
  for (let round = 0; round < rounds; round++) {
    for (const entry of entries) {
      const result = await run(entry, round);
      results.set(entry.name, [...(results.get(entry.name) ?? []), result]);
    }
  }
  return results;
}

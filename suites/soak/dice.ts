import { seededRandom } from '../../testbed/replicas';

/** The largest seed, and the smallest is 1. */
export const MAX_SEED = 2_147_483_646;

/** Draws the same again from the same seed. */
export class Dice {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    // The first numbers after small seeds are all alike.
    this.#random();
  }

  /** A whole number, both ends included. */
  between(from: number, to: number): number {
    return from + Math.floor(this.#random() * (to - from + 1));
  }

  oneOf<T>(choices: readonly T[]): T {
    return choices[this.between(0, choices.length - 1)];
  }

  shuffled<T>(cards: readonly T[]): T[] {
    const left = [...cards];
    return cards.map(() => left.splice(this.between(0, left.length - 1), 1)[0]);
  }
}

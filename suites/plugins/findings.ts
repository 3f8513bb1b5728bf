/** The row for what concerns no plugin of its own. */
export const AS_A_WHOLE = 'the backend';

/** What came of one situation, row by row. */
export class Findings {
  readonly problems: { row: string; problem: string }[] = [];
  /** What the backends have printed, in case of a problem. */
  readonly output: string[] = [];
  readonly #tried = new Set<string>();

  /** @param problems - None: it works. */
  add(row: string, ...problems: string[]): void {
    this.#tried.add(row);
    for (const problem of problems) this.problems.push({ row, problem });
  }

  /** False, too, for what was never tried. */
  isWell(row: string): boolean {
    return (
      this.#tried.has(row) &&
      this.problems.every(problem => problem.row !== row)
    );
  }
}

/** Counts what each plugin has migrated. */
export class Migrated {
  readonly #plugins = new Map<string, { count: number; ms: number }>();

  add(plugin: string, count: number, ms: number): void {
    if (count === 0) return;
    const sum = this.#plugins.get(plugin) ?? { count: 0, ms: 0 };
    this.#plugins.set(plugin, { count: sum.count + count, ms: sum.ms + ms });
  }

  /** @returns a line for each plugin that has migrated since the last call. */
  tell(): string[] {
    const lines = [...this.#plugins].map(
      ([plugin, { count, ms }]) =>
        `Plugin '${plugin}' ran ${count} ${count === 1 ? 'migration' : 'migrations'} in ${(ms / 1_000).toFixed(1)} s`,
    );
    this.#plugins.clear();
    return lines;
  }
}

import type { Emulator } from '../../emulator';

/** Where the rows are that Backstage has said it has written. */
const FIND = {
  entry: 'SELECT id FROM ledger.entries GROUP BY id HAVING count(*) = 2',
  setting: `SELECT key AS id FROM "user-settings".user_settings
            WHERE value::jsonb ->> 'written' = key`,
  notification: 'SELECT title AS id FROM notifications.broadcast',
};

export type RowKind = keyof typeof FIND;

/** Remembers what was acknowledged, and looks for it on the server. */
export class Rows {
  readonly #acknowledged = new Map<RowKind, string[]>();

  get acknowledged(): number {
    return [...this.#acknowledged.values()].flat().length;
  }

  acknowledge(kind: RowKind, id: string): void {
    const ids = this.#acknowledged.get(kind) ?? [];
    ids.push(id);
    this.#acknowledged.set(kind, ids);
  }

  /** Which of them are not there. */
  async lost(emulator: Emulator): Promise<string[]> {
    const lost: string[] = [];
    for (const [kind, ids] of this.#acknowledged) {
      const rows = (await emulator.query(FIND[kind])) as { id: string }[];
      const there = new Set(rows.map(({ id }) => id));
      lost.push(...ids.filter(id => !there.has(id)));
    }
    return lost;
  }
}

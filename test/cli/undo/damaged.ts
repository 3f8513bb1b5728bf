import type { JsonObject } from '@backstage/types';
import type { Knex } from 'knex';
import type { Emulator } from '../../../emulator';
import { copyablePostgres } from '../../support/copyablePostgres';
import { lakebaseTests } from '../../support/lakebase';
import { commandLine, configFiles } from '../commandLine';

type Outcome = ReturnType<typeof commandLine>;

export interface Damaged {
  emulator: Emulator;
  knexOf(pluginId: string): Promise<Knex>;
  /** Makes branch `before`, which the others compare with. */
  remember(): Promise<void>;
  /** A moment of which the history knows, after all that was done. */
  moment(): Promise<string>;
  undo(...args: string[]): Outcome;
  at(moment: string, ...args: string[]): Outcome;
  run(...args: string[]): Outcome;
  /** The signal stands for Ctrl-C. */
  interruptible(interrupted: AbortSignal, ...args: string[]): Outcome;
}

/** Portals of one test file, to which something happens. */
export function undoTests() {
  const start = lakebaseTests();
  const files = configFiles();
  const copyable = copyablePostgres();

  return async (
    settings: JsonObject = { pluginDivisionMode: 'schema' },
    history = false,
  ): Promise<Damaged> => {
    const emulator = await start.emulator({ history, ...copyable() });
    const lakebase = start.lakebase(emulator, settings);
    const config = await files.leadingTo(emulator, settings);
    const run = (args: string[], interrupted = new AbortController().signal) =>
      commandLine([...args, '--config', config], {
        interrupted,
        env: { BACKSTAGE_TOKEN: 'secret' },
      });
    const before = ['undo', '--branch', 'before'];
    return {
      emulator,
      knexOf: id => lakebase.getClient(id),
      remember: async () => {
        const { exitCode, stderr } = await run([
          ...['branch', 'create', 'before', '--no-scrub'],
          ...['--out', `${config}.branch`],
        ]);
        if (exitCode !== 0) throw new Error(stderr);
      },
      moment: async () => {
        const [{ now }] = await emulator.query(
          `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as now`,
        );
        // Recovery ends at the first commit after the moment.
        await emulator.query('select pg_sleep(0.01)');
        return now as string;
      },
      undo: (...args) => run([...before, ...args]),
      at: (moment, ...args) => run(['undo', '--at', moment, ...args]),
      run: (...args) => run(args),
      interruptible: (interrupted, ...args) =>
        run([...before, ...args], interrupted),
    };
  };
}

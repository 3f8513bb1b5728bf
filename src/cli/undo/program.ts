import { collect, type MakeCommand } from '../options';
import type { Terminal } from '../terminal';
import { undo, type UndoOptions } from './undo';

/** `undo` */
export function addUndoCommand(
  command: MakeCommand,
  terminal: Terminal,
  done: (exitCode: number) => void,
): void {
  command('undo')
    .description('shows what was lost since a moment, and brings it back')
    .option(
      '--at <time>',
      'a moment before the loss: -5m, 2026-11-27T14:03:00Z, or an LSN',
    )
    .option('--branch <name>', 'a branch that shows that moment')
    .option(
      '--plugin <plugin>',
      'only this plugin, or one table of it as PLUGIN.TABLE; once for each',
      collect,
    )
    .option('--restore', 'bring back the rows that are gone', false)
    .option('--replace', 'and set back those that have changed', false)
    .option('--repoint', 'tell how to go back as a whole', false)
    .option('--backend <url>', 'ask this portal afterwards what it lists')
    .option('--json', 'what was found and done as JSON', false)
    .action(async (options: UndoOptions) =>
      done(await undo(options, terminal)),
    );
}

import type { Command } from 'commander';
import { collect, type MakeCommand } from '../options';
import type { Terminal } from '../terminal';
import { migrate, type MigrateOptions } from './migrate';
import { rehearse, type RehearseOptions } from './rehearse';
import { rollback, type RollbackOptions } from './rollback';

/** `rehearse`, `migrate` and `rollback`. */
export function addMigrationCommands(
  command: MakeCommand,
  terminal: Terminal,
  done: (exitCode: number) => void,
): void {
  acceptingLoss(inBackend(command('rehearse')))
    .description(
      'runs the pending migrations on a copy of production, and judges them',
    )
    .option('--from <branch>', 'another source than the configured branch')
    .option(
      '--at <time>',
      'a moment of its past: -5m, 2026-11-27T14:03:00Z, or an LSN',
    )
    .option('--branch <name>', 'a copy that is there already')
    .option('--start-budget <duration>', 'how long a start may take', '3m')
    .option(
      '--max-blocked <duration>',
      'how long a table may be blocked',
      '10s',
    )
    .option('--markdown <file>', 'writes a comment for a pull request')
    .option('--keep', 'leave the copy there', false)
    .option('--json', 'what was found as JSON', false)
    .action(async (options: RehearseOptions) =>
      done(await rehearse(options, terminal)),
    );

  inBackend(command('migrate'))
    .description('runs the pending migrations, before the new version starts')
    .option('--dry-run', 'only tell', false)
    .option('--no-restore-point', 'make no branch to go back to')
    .option('--rehearsal <file>', 'what rehearse --json told, for its times')
    .option('--json', 'what was done as JSON', false)
    .action(async (options: MigrateOptions) =>
      done(await migrate(options, terminal)),
    );

  acceptingLoss(inBackend(command('rollback')))
    .description('takes migrations back, so that an older version starts again')
    .requiredOption(
      '--to <target>',
      'PLUGIN:MIGRATION, which stays, or PLUGIN@previous',
    )
    .option('--yes', 'do it', false)
    .option('--unrehearsed', 'without trying it on a copy first', false)
    .option('--no-restore-point', 'make no branch to go back to')
    .option('--json', 'what was found and done as JSON', false)
    .action(async (options: RollbackOptions) =>
      done(await rollback(options, terminal)),
    );
}

const inBackend = (command: Command): Command =>
  command.option(
    '--backend <folder>',
    "the backend's package, whose plugins are looked at",
    '.',
  );

const acceptingLoss = (command: Command): Command =>
  command.option(
    '--accept-loss <plugin>',
    'a plugin that may lose data, once for each',
    collect,
  );

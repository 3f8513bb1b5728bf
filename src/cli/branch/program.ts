import { type Command, InvalidArgumentError } from 'commander';
import { collect, type MakeCommand } from '../options';
import type { Terminal } from '../terminal';
import { create, type CreateOptions } from './create';
import { list, type ListOptions } from './list';
import { remove, sweep, type SweepOptions } from './remove';
import { scrub, type ScrubOptions } from './scrub';

const OVERLAY = 'app-config.branch.yaml';

/** `branch create`, `list`, `delete` and `sweep`, and `scrub`. */
export function addBranchCommands(
  program: Command,
  command: MakeCommand,
  terminal: Terminal,
  done: (exitCode: number) => void,
): void {
  const branch = program
    .command('branch')
    .description('makes copies of production, and tidies them up');

  allowingUnknown(command('create', branch))
    .description('makes a copy that a portal can be started on, or finds it')
    .argument('[name]', 'of the branch; or --pr or --git')
    .option('--pr <n>', 'name it after a pull request', parseNumber)
    .option('--git', 'name it after the git branch', false)
    .option('--from <branch>', 'another source than the configured branch')
    .option(
      '--at <time>',
      'a moment of its past: -5m, 2026-11-27T14:03:00Z, or an LSN',
    )
    .option(
      '--ttl <duration>',
      'how long it lives (default: 7d, with --pr 24h)',
    )
    .option(
      '--replace',
      'delete one of that name with another source first',
      false,
    )
    .option(
      '--no-scrub',
      'leave the keys, sessions and secrets of production in it',
    )
    .option('--out <file>', 'the configuration to start on it', OVERLAY)
    .option('--json', 'what was made as JSON', false)
    .action(async (name: string | undefined, options: CreateOptions) =>
      done(await create(name, options, terminal)),
    );

  command('list', branch)
    .description('shows the branches of the project, and who they are for')
    .option('--deleted', 'also those that are deleted', false)
    .option('--json', 'as JSON', false)
    .action(async (options: ListOptions) =>
      done(await list(options, terminal)),
    );

  command('delete', branch)
    .description('deletes a copy of the configured branch')
    .argument('<name>')
    .option('--json', 'as JSON', false)
    .action(async (name: string, options: { json: boolean }) =>
      done(await remove(name, options, terminal)),
    );

  command('sweep', branch)
    .description('deletes what --pr and --git made and nobody needs any more')
    .option('--closed-prs <file>', 'numbers of closed pull requests')
    .option('--older-than <duration>', 'what is older than this')
    .option('--dry-run', 'only tell', false)
    .option('--json', 'as JSON', false)
    .action(async (options: SweepOptions) =>
      done(await sweep(options, terminal)),
    );

  allowingUnknown(command('scrub'))
    .description('takes out of a copy what must not leave production')
    .requiredOption('--branch <name>', 'the copy')
    .option('--json', 'what went as JSON', false)
    .action(async (options: ScrubOptions) =>
      done(await scrub(options, terminal)),
    );
}

const allowingUnknown = (command: Command): Command =>
  command.option(
    '--allow-unknown <plugin>',
    'leave the unknown tables of a plugin as they are, once for each',
    collect,
  );

function parseNumber(value: string): number {
  if (/^[1-9]\d{0,8}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('It must be the number of a pull request.');
}

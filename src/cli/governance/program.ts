import { type Command, InvalidArgumentError, Option } from 'commander';
import { COST_BY } from '../../governance/cost';
import { type MakeCommand, wholeNumber } from '../options';
import type { Terminal } from '../terminal';
import { audit, type AuditOptions } from './audit';
import { cost, type CostOptions } from './cost';
import { govern, type GovernOptions } from './govern';

/** `cost`, `audit` and `govern`. */
export function addGovernanceCommands(
  command: MakeCommand,
  terminal: Terminal,
  done: (exitCode: number) => void,
): void {
  onWarehouse(command('cost'))
    .description(
      'shows what the project costs at list prices; without a warehouse, the SQL that does',
    )
    .addOption(
      new Option('--by <group>', 'what a row stands for')
        .choices(COST_BY)
        .default('branch'),
    )
    .option('--currency <code>', 'of the prices', parseCurrency, 'USD')
    .option('--json', 'as JSON', false)
    .option('--csv', 'as CSV', false)
    .action(async (options: CostOptions) =>
      done(await cost(options, terminal)),
    );

  onWarehouse(command('audit'))
    .description(
      'shows what became of branches and, with a warehouse, who did it',
    )
    .option('--branch <name>', 'of this one only, which may be deleted')
    .option('--json', 'as JSON', false)
    .action(async (options: AuditOptions) =>
      done(await audit(options, terminal)),
    );

  command('govern')
    .description(
      'prints what puts the database under Unity Catalog; changes nothing',
    )
    .option('--catalog <name>', 'of Unity Catalog', 'lakebase_bs')
    .option('--group <name>', 'who may read')
    .option('--views', 'the SQL of flat views for analysts, for psql', false)
    .option('--json', 'as JSON', false)
    .action(async (options: GovernOptions) =>
      done(await govern(options, terminal)),
    );
}

const onWarehouse = (command: Command): Command =>
  command
    .option('--days <n>', 'how far back', wholeNumber(365), 30)
    .option(
      '--warehouse <id>',
      'the SQL warehouse that runs it (default: DATABRICKS_WAREHOUSE_ID)',
    );

function parseCurrency(value: string): string {
  if (/^[A-Z]{3}$/.test(value)) return value;
  throw new InvalidArgumentError('It must be a code such as USD.');
}

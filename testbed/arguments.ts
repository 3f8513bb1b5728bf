import { parseArgs, type ParseArgsConfig } from 'node:util';

type Options = NonNullable<ParseArgsConfig['options']>;

/**
 * The options that a program was called with. Prints its usage and exits when
 * that is asked for, or when they are not understood.
 */
export function readOptions<T extends Options>(usage: string, options: T) {
  const known = { ...options, help: { type: 'boolean' as const } };
  try {
    const { values } = parseArgs({ options: known });
    if ((values as { help?: boolean }).help) {
      console.log(usage);
      process.exit();
    }
    return values;
  } catch (error) {
    failUsage(usage, (error as Error).message);
  }
}

export function failUsage(usage: string, problem: string): never {
  console.error(`${problem}\n\n${usage}`);
  process.exit(2);
}

import type { Command } from 'commander';

/** Adds a command with what all of them take. */
export type MakeCommand = (
  nameAndArguments: string,
  parent?: Command,
) => Command;

/** For an option that may be given once for each value. */
export const collect = (value: string, others?: string[]): string[] => [
  ...(others ?? []),
  value,
];

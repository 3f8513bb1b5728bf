import { type Command, InvalidArgumentError } from 'commander';

/** Adds a command with what all of them take. */
export type MakeCommand = (
  nameAndArguments: string,
  parent?: Command,
) => Command;

/** For an option that is a whole number from 1 to `most`. */
export const wholeNumber =
  (most: number) =>
  (value: string): number => {
    if (/^[1-9]\d{0,8}$/.test(value) && Number(value) <= most) {
      return Number(value);
    }
    throw new InvalidArgumentError(
      `It must be a whole number from 1 to ${most}.`,
    );
  };

/** For an option that may be given once for each value. */
export const collect = (value: string, others?: string[]): string[] => [
  ...(others ?? []),
  value,
];

import { ConfigReader, readDurationFromConfig } from '@backstage/config';
import { durationToMilliseconds, type JsonValue } from '@backstage/types';
import { isNull, isPlainObject, mapValues, omitBy } from 'lodash';
import { z } from 'zod';
import { ConfigurationError } from '../errors';

/**
 * Reads a value as Backstage's own ConfigReader does, which takes text for a
 * number or a boolean: that is what `${VARIABLE}` becomes. What it cannot read
 * stays as it is, for the schema to refuse.
 */
const readAs =
  (type: 'Number' | 'Boolean') =>
  (value: unknown): unknown => {
    try {
      const reader = new ConfigReader({ value: value as JsonValue });
      return reader[`getOptional${type}`]('value');
    } catch {
      return value;
    }
  };

export const boolean = z.preprocess(readAs('Boolean'), z.boolean());
const number = z.preprocess(readAs('Number'), z.number());
export const integer = z.preprocess(readAs('Number'), z.int().min(1));

const NOT_A_DURATION = "not a duration, such as '30s' or { minutes: 5 }";

const durationShape = z.union(
  [
    z.string(),
    z.strictObject({
      years: number.optional(),
      months: number.optional(),
      weeks: number.optional(),
      days: number.optional(),
      hours: number.optional(),
      minutes: number.optional(),
      seconds: number.optional(),
      milliseconds: number.optional(),
    }),
  ],
  { error: NOT_A_DURATION },
);

/** A duration in milliseconds, by Backstage's own reading of it. */
export const duration = (range: {
  fromMs: number;
  toMs: number;
  /** As it reads after "must be". */
  inWords: string;
}) =>
  durationShape
    .transform((value, context) => {
      try {
        const reader = new ConfigReader({ value });
        return durationToMilliseconds(
          readDurationFromConfig(reader, { key: 'value' }),
        );
      } catch {
        context.addIssue(NOT_A_DURATION);
        return z.NEVER;
      }
    })
    .refine(ms => ms >= range.fromMs && ms <= range.toMs, {
      error: `must be ${range.inWords}`,
    })
    .describe("A duration: '30s', ISO 8601, or { minutes: 5 }.");

/** Null counts as absent, as it does to ConfigReader. */
export const withoutNulls = (value: unknown): unknown =>
  isPlainObject(value)
    ? mapValues(omitBy(value as object, isNull), withoutNulls)
    : value;

/**
 * Gives what lies at a key the form that the schema describes.
 *
 * @throws ConfigurationError that names each key that has another form.
 */
export function parseAt<T>(
  key: string,
  schema: z.ZodType<T>,
  value: unknown,
): T {
  const result = schema.safeParse(withoutNulls(value));
  if (result.success) return result.data;
  const problems = result.error.issues
    .flatMap(issuesOfMeantForm)
    .map(({ path, message }) => `${[key, ...path].join('.')}: ${message}`);
  throw new ConfigurationError(`Invalid configuration. ${problems.join('. ')}`);
}

/** Of several forms, the one of the right type is meant. Newer zods do this. */
function issuesOfMeantForm(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const meant = issue.errors.find(issues =>
    issues.every(({ code, path }) => code !== 'invalid_type' || path.length),
  );
  return (
    meant?.map(inner => ({
      ...inner,
      path: [...issue.path, ...inner.path],
    })) ?? [issue]
  );
}

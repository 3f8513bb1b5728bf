import { LakebaseError } from '../../errors';
import type { Finding } from './check';

/**
 * Tells an error in parts. The messages of this package say first what failed
 * and then what to do, and end with the statements if there are any.
 */
export function failureOf(error: unknown): Finding {
  const told = deepest(error);
  const [, message, advice = ''] =
    /^(.*?(?:[^.]\.|\.")) (?=[A-Z"])(.*)$/s.exec(ownMessageOf(told)) ?? [];
  const [, words = advice, sql] = STATEMENTS.exec(advice) ?? [];
  return {
    status: 'fail',
    message: withoutStop(message ?? ownMessageOf(told)) + wordsOfPostgres(told),
    ...(words && { cure: words }),
    ...(sql && {
      paste: sql.split(/(?<=;) (?=(?:GRANT|ALTER|CREATE|SELECT) )/),
    }),
  };
}

const STATEMENTS = /^(.*?:) ((?:ALTER|CREATE|DO|GRANT|SELECT) .*;)$/s;

const withoutStop = (sentence: string) => sentence.replace(/\.$/, '');

/** A deadline only says what it cut short. */
function deepest(error: unknown): Error {
  const { cause } = error as Error;
  return error instanceof LakebaseError &&
    error.code === 'connect-timeout' &&
    cause instanceof LakebaseError
    ? cause
    : (error as Error);
}

/** Without what the base class of Backstage's errors adds of the cause. */
function ownMessageOf({ message, cause }: Error): string {
  const suffix = `; caused by ${String(cause)}`;
  return cause !== undefined && message.endsWith(suffix)
    ? message.slice(0, -suffix.length)
    : message;
}

/** Where no rule knew the text, it is all there is. */
function wordsOfPostgres(error: Error): string {
  if (!(error instanceof LakebaseError)) return '';
  if (error.code !== 'database-error') return '';
  const { message = '' } = (error.cause ?? {}) as Partial<Error>;
  return `: ${message.replace(/\s+/g, ' ')}`;
}

import { z } from 'zod';
import { LakebaseError } from '../errors';

/** @throws LakebaseError that names the field but not what is in it. */
export function readReply<T>(
  schema: z.ZodType<T>,
  reply: unknown,
  party: string,
  action: string,
): T {
  const result = schema.safeParse(reply);
  if (result.success) return result.data;
  const field = result.error.issues[0].path.join('.') || 'the whole reply';
  throw invalidReply(field, party, action);
}

export const invalidReply = (field: string, party: string, action: string) =>
  new LakebaseError('workspace-reply-invalid', {
    problem:
      `${party} answered with an unusable reply (${field}) when asked to ` +
      action,
    remedy:
      'Check that the right address is configured for it, and that no proxy ' +
      'answers in its place',
  });

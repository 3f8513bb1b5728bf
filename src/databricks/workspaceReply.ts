import { z } from 'zod';
import { LakebaseError } from '../errors';
import { showControls } from '../texts';

/** The name of a host, and nothing that a message or a shell could mistake. */
export const hostName = z.string().regex(/^[a-z\d][\w.-]{0,252}$/i);

/** A name as it may stand in a message: of one line, and not endless. */
export const shownName = z
  .string()
  .min(1)
  .max(1_000)
  .refine(name => showControls(name) === name);

/** What goes over the wire as a password, in one line of a header or message. */
export const opaqueToken = z.string().regex(/^[\x21-\x7e]+$/);

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

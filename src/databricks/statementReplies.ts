import { z } from 'zod';
import { shownName } from './workspaceReply';

const rows = z.array(z.array(z.string().nullable())).default([]);

/** A part of the rows, and where the next part is. */
const chunk = z.object({
  data_array: rows,
  next_chunk_index: z.number().int().nonnegative().nullish(),
  /** In place of the index, in some replies. */
  next_chunk_internal_link: z.string().nullish(),
});

export const chunkReply = chunk.transform(toChunk);

export type Chunk = z.output<typeof chunkReply>;

export const statementReply = z
  .object({
    statement_id: shownName,
    status: z.object({
      state: z.string(),
      error: z
        .object({
          error_code: z.string().optional().catch(undefined),
          message: z.string().optional().catch(undefined),
        })
        .nullish(),
    }),
    manifest: z
      .object({
        schema: z.object({
          columns: z.array(z.object({ name: z.string() })).default([]),
        }),
        truncated: z.boolean().nullish(),
      })
      .nullish(),
    result: chunk.nullish(),
  })
  .transform(({ statement_id, status, manifest, result }) => ({
    id: statement_id,
    state: status.state,
    error: status.error ?? undefined,
    columns: manifest?.schema.columns.map(({ name }) => name) ?? [],
    truncated: manifest?.truncated ?? false,
    first: result ? toChunk(result) : undefined,
  }));

/** A statement as the platform shows it. */
export type StatementInfo = z.output<typeof statementReply>;

/** A reply without anything to read. */
export const emptyReply = z.unknown();

function toChunk(reply: z.output<typeof chunk>) {
  const linked = /\/chunks\/(\d+)/.exec(reply.next_chunk_internal_link ?? '');
  return {
    rows: reply.data_array,
    next: reply.next_chunk_index ?? (linked ? Number(linked[1]) : undefined),
  };
}

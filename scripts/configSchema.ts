/** Writes config.schema.json, by which Backstage checks app-config. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JsonObject } from '@backstage/types';
import { z } from 'zod';
import { lakebaseSchema } from '../src/configSchema';

const FILE = join(__dirname, '..', 'config.schema.json');

/** The schema of the block, where it lies in app-config. */
export function generateConfigSchema(): JsonObject {
  const { $schema, ...lakebase } = z.toJSONSchema(lakebaseSchema, {
    target: 'draft-7',
    io: 'input',
  });
  return {
    $schema,
    ...inside('backend', inside('database', inside('lakebase', lakebase))),
  };
}

const inside = (key: string, schema: object) => ({
  type: 'object',
  properties: { [key]: schema },
});

async function write(): Promise<void> {
  const prettier = await import('prettier');
  const options = await prettier.resolveConfig(FILE);
  const text = JSON.stringify(generateConfigSchema());
  await writeFile(
    FILE,
    await prettier.format(text, { ...options, parser: 'json' }),
  );
}

// Not awaited: a failure ends the process with its stack.
if (require.main === module) void write();

/** Writes config.schema.json, by which Backstage checks app-config. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { omit } from 'lodash';
import { z } from 'zod';
import {
  lakebaseSchema,
  pluginLakebaseSchema,
} from '../src/config/configSchema';

const FILE = join(__dirname, '..', 'config.schema.json');

/** The schema of both blocks, where they lie in app-config. */
export function generateConfigSchema() {
  const ofPlugin = z
    .union([z.literal(false), pluginLakebaseSchema])
    .describe(
      "Whether this plugin is on Lakebase: false for Backstage's own database " +
        'service, or what is different for this plugin.',
    );
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    ...holding({
      backend: holding({
        database: holding({
          lakebase: jsonSchema(z.union([z.literal(false), lakebaseSchema])),
          plugin: {
            type: 'object',
            additionalProperties: holding({ lakebase: jsonSchema(ofPlugin) }),
          },
        }),
      }),
    }),
  };
}

const holding = (properties: object) => ({ type: 'object', properties });

const jsonSchema = (schema: z.ZodType) =>
  omit(z.toJSONSchema(schema, { target: 'draft-7', io: 'input' }), '$schema');

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

/** Writes the parts of docs/ that stand in the code: keys, and codes of errors. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ERROR_CODES } from '../src/errorCodes';
import { generateConfigSchema } from './configSchema';

const DOCS = join(__dirname, '..', 'docs');
const CONFIGURATION = join(DOCS, 'configuration.md');
const ERRORS = join(DOCS, 'errors.md');

const BEGIN =
  '<!-- reference: written by scripts/reference.ts from the schema -->';
const END = '<!-- end -->';

/** As much of JSON Schema as the schema of the configuration uses. */
interface Schema {
  description?: string;
  visibility?: string;
  properties?: Record<string, Schema>;
  anyOf?: Schema[];
}

/** One row for each key that holds a value, under the name of its block. */
export function rowsOf(schema: Schema, prefix = ''): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const key = prefix + name;
    const { properties, description = '' } = property;
    if (properties && !description) return rowsOf(property, `${key}.`);
    const secret = property.visibility === 'secret' ? ' **Secret.**' : '';
    return [
      `| \`${key}\` | ${inMarkdown(description)}${secret} |`,
      ...(properties ? rowsOf(property, `${key}.`) : []),
    ];
  });
}

const inMarkdown = (text: string) =>
  text.replaceAll('|', '\\|').replaceAll('<', '\\<');

function blockOf(path: string[]): Schema {
  let schema = generateConfigSchema() as Schema;
  for (const name of path) schema = schema.properties![name];
  return schema.anyOf?.find(it => it.properties) ?? schema;
}

/** The page, with the keys of the schema in it. */
export function withReference(page: string): string {
  const [before, rest] = page.split(BEGIN);
  const [, after] = rest.split(END);
  const rows = rowsOf(blockOf(['backend', 'database', 'lakebase']));
  return [
    `${before}${BEGIN}`,
    '',
    '| Key | Meaning |',
    '| --- | --- |',
    ...rows,
    '',
    `${END}${after}`,
  ].join('\n');
}

export function errorsPage(): string {
  return [
    '# Errors',
    '',
    'Every failure but bad configuration is a `LakebaseError` with one of these `code`s; the `error.type` of the metrics is the same word. Its message says what failed, for whom, and what to do, with the SQL or command to paste; `explanation` has these parts by themselves, and `cause` what was behind it. Bad configuration is an `InputError` that names the key.',
    '',
    'What _passes by itself_ is retried, for up to `connectTimeout` where a connection waits for it. All else is permanent until somebody changes a setting or a grant, and fails at once.',
    '',
    '| Code | Passes by itself | What is behind it | What to do |',
    '| --- | --- | --- | --- |',
    ...Object.entries(ERROR_CODES).map(
      ([code, { passes, cause, cure }]) =>
        `| \`${code}\` | ${passes ? 'yes' : ''} | ${cause} | ${cure} |`,
    ),
    '',
  ].join('\n');
}

async function tidy(text: string): Promise<string> {
  const { format, resolveConfig } = await import('prettier');
  const settings = await resolveConfig(ERRORS);
  return format(text, { ...settings, parser: 'markdown' });
}

async function write(): Promise<void> {
  await writeFile(ERRORS, await tidy(errorsPage()));
  const page = await readFile(CONFIGURATION, 'utf8');
  await writeFile(CONFIGURATION, await tidy(withReference(page)));
}

// Not awaited: a failure ends the process with its stack.
if (require.main === module) void write();

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isError } from 'lodash';
import { ConfigurationError } from '../errors';

type Env = Record<string, string | undefined>;

/** One section of the file that Databricks' own tools keep their logins in. */
export interface DatabricksProfile {
  name: string;
  file: string;
  values: Record<string, string>;
}

/** Names the profile to use where nothing else does. */
const SETTINGS = '__settings__';

/**
 * The profile of this name, or else the default one.
 *
 * @returns undefined when there is none and nobody named one.
 * @throws ConfigurationError when a named one is missing, or the file cannot be read.
 */
export function readDatabricksProfile(
  env: Env,
  named: { name: string; key: string } | undefined,
): DatabricksProfile | undefined {
  const file = findFile(env);
  const sections = file === undefined ? undefined : readSections(file);
  const byFile = sections?.get(SETTINGS)?.default_profile;
  const wanted =
    named ??
    (byFile && { name: byFile, key: `default_profile of [${SETTINGS}]` });
  const name = wanted ? wanted.name : 'DEFAULT';
  const values = sections?.get(name);
  if (file !== undefined && values) return { name, file, values };
  if (!wanted) return undefined;
  throw new ConfigurationError(
    `${wanted.key} names the profile '${name}', but ` +
      `${file ?? '~/.databrickscfg'} ` +
      (sections ? 'has no such section' : 'does not exist'),
    `Make it with 'databricks auth login --profile ${name}', or name another ` +
      'file in DATABRICKS_CONFIG_FILE',
  );
}

function findFile(env: Env): string | undefined {
  const home = env.HOME ?? env.USERPROFILE;
  const given = env.DATABRICKS_CONFIG_FILE?.trim() || '~/.databrickscfg';
  if (!/^~(?=[/\\]|$)/.test(given)) return given;
  return home === undefined ? undefined : join(home, given.slice(1));
}

/** Names of the profiles in the file, to choose among. */
export function listProfiles(env: Env): string[] {
  const file = findFile(env);
  const sections = file === undefined ? undefined : readSections(file);
  return [...(sections?.keys() ?? [])].filter(name => name !== SETTINGS);
}

function readSections(file: string) {
  let text: string;
  try {
    text = decode(readFileSync(file));
  } catch (error) {
    const code = isError(error) ? (error as NodeJS.ErrnoException).code : '';
    // Without a home, or with /dev/null for one.
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new ConfigurationError(
      `The Databricks configuration file ${file} cannot be read (${code})`,
      'Check its permissions, or name another one in DATABRICKS_CONFIG_FILE',
    );
  }
  return parseSections(text);
}

/** Some editors of Windows save as UTF-16, which begins with such a mark. */
const decode = (bytes: Buffer) =>
  new TextDecoder(
    bytes[0] === 0xff && bytes[1] === 0xfe
      ? 'utf-16le'
      : bytes[0] === 0xfe && bytes[1] === 0xff
        ? 'utf-16be'
        : 'utf-8',
  ).decode(bytes);

/**
 * As Databricks' tools read it, which npm's `ini` does not: a comment within a
 * line starts at a `#` or `;` after a blank, since secrets may hold either.
 */
function parseSections(text: string) {
  const sections = new Map<string, Record<string, string>>();
  let section = 'DEFAULT';
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim();
    if (/^([#;]|$)/.test(line)) continue;
    const header = /^\[([^\]]+)\]/.exec(line);
    if (header) {
      section = header[1].trim();
      sections.set(section, sections.get(section) ?? {});
      continue;
    }
    const pair = /^([^=:]+?)\s*[=:]\s*(.*)$/.exec(line);
    if (!pair) continue;
    const [, key, rest] = pair;
    const name = key.toLowerCase();
    sections.set(section, { ...sections.get(section), [name]: unquote(rest) });
  }
  return sections;
}

function unquote(text: string): string {
  const quoted = /^(["'])(.*)\1\s*(?:[#;].*)?$/.exec(text);
  return quoted ? quoted[2] : text.replace(/(?:^|\s+)[#;].*$/, '');
}

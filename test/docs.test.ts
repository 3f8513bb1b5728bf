import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { ConfigReader } from '@backstage/config';
import { transform } from '@swc/core';
import { parseAllDocuments } from 'yaml';
import manifest from '../package.json';
import { errorsPage, withReference } from '../scripts/reference';
import type { Command, CommanderError } from 'commander';
import { createProgram } from '../src/cli/program';
import { readConfig } from '../src/config/readConfig';
import { systemClock } from '../src/time/clock';
import { lakebaseTests } from './support/lakebase';

const ROOT = join(__dirname, '..');
const start = lakebaseTests();

interface Block {
  page: string;
  language: string;
  text: string;
  /** Why nobody runs it, or which test does. */
  mark?: string;
}

async function pages(): Promise<string[]> {
  const docs = await readdir(join(ROOT, 'docs'));
  return [
    ...docs.filter(it => it.endsWith('.md')).map(it => join('docs', it)),
    'README.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
  ];
}

const FENCE = /^( *)```(\w+)\n((?:.*\n)*?)\1```/gm;
const MARK = /<!-- (not run: .+|run: \w+) -->\n\s*$/;

async function blocks(): Promise<Block[]> {
  const found: Block[] = [];
  for (const page of await pages()) {
    const text = await readFile(join(ROOT, page), 'utf8');
    for (const match of text.matchAll(FENCE)) {
      const [, indent, language, code] = match;
      found.push({
        page,
        language,
        text: code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
        mark: MARK.exec(text.slice(0, match.index))?.[1],
      });
    }
  }
  return found;
}

/** @returns why the command refuses these arguments, if it does. */
async function refusalOf(args: string[]): Promise<string | undefined> {
  const end = args.includes('--') ? args.indexOf('--') : args.length;
  const silent = {
    out: () => {},
    error: () => {},
    interactive: false,
    colored: false,
    env: {},
    clock: systemClock,
  };
  const program = createProgram(silent, [], () => {});
  for (const command of allOf(program)) {
    if (command.commands.length === 0) command.action(() => {});
  }
  try {
    await program.parseAsync(args.slice(0, end), { from: 'user' });
    return undefined;
  } catch (error) {
    const { exitCode, message } = error as CommanderError;
    return exitCode === 0 ? undefined : message;
  }
}

const allOf = (command: Command): Command[] => [
  command,
  ...command.commands.flatMap(it => allOf(it)),
];

const wordsOf = (line: string): string[] =>
  [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, bare]) => single ?? double ?? bare,
  );

/** Each command of ours in a line, without what a shell makes of it. */
function commandsIn(text: string): string[][] {
  return text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map(line => line.replace(/(^|\s)#.*$/, '').replace(/ [<>] ?\S+/g, ''))
    .flatMap(line => line.split(/ [|&]+ |\$\(|\)/))
    .filter(line => /^\s*(npx --no )?backstage-lakebase\b/.test(line))
    .map(line =>
      wordsOf(line.replace(/^\s*(npx --no )?backstage-lakebase/, '')),
    )
    .map(words => words.filter(word => !/^[<>…&]/.test(word)));
}

/** What the backend of every app names. */
const BROUGHT = [manifest.name, '@backstage/backend-defaults'];

/** Programs of a shell that the docs use beside ours. */
const KNOWN =
  /^(npm|npx|yarn|cd|git|export|unset|pg_dump|pg_restore|pkill|pgrep|rm|node|kubectl|databricks|\.ci\/run|BACKSTAGE_\w+=)/;

describe('the docs', () => {
  it('show commands that the command accepts', async () => {
    const shell = (await blocks()).filter(it => it.language === 'sh');
    const refused: string[] = [];
    for (const { page, text } of shell) {
      for (const args of commandsIn(text)) {
        const reason = await refusalOf(args);
        if (reason) refused.push(`${page}: ${args.join(' ')}: ${reason}`);
      }
    }
    expect(refused).toEqual([]);
    expect(shell.flatMap(it => commandsIn(it.text)).length).toBeGreaterThan(20);
  });

  it('show programs that are there', async () => {
    const scripts = Object.keys(manifest.scripts).concat('ci', 'install');
    const unknown: string[] = [];
    for (const { page, language, text, mark } of await blocks()) {
      if (language !== 'sh') continue;
      for (const line of text.replaceAll('\\\n', ' ').split('\n')) {
        const command = line.replace(/(^|\s)#.*$/, '').trim();
        if (command && !KNOWN.test(command) && !mark)
          unknown.push(`${page}: ${command}`);
        for (const [, script] of command.matchAll(/npm (?:run )?([\w-]+)/g)) {
          if (!scripts.includes(script)) unknown.push(`${page}: ${command}`);
        }
      }
    }
    expect(unknown).toEqual([]);
  });

  it('show configuration that the start accepts', async () => {
    const env = {
      DATABRICKS_HOST: 'https://one.example.com',
      DATABRICKS_CLIENT_ID: 'id',
      DATABRICKS_CLIENT_SECRET: 'secret',
      LAKEBASE_ENDPOINT: 'projects/p',
    };
    const read: string[] = [];
    for (const { page, language, text, mark } of await blocks()) {
      if (language !== 'yaml' || mark?.startsWith('not run')) continue;
      const filled = text.replaceAll(
        /\$\{(\w+)\}/g,
        (_, name: string) => env[name as keyof typeof env] ?? 'value',
      );
      for (const document of parseAllDocuments(filled)) {
        expect(document.errors).toEqual([]);
        const data = document.toJS() as {
          backend?: { database?: { lakebase?: unknown } };
        };
        if (!data.backend?.database?.lakebase) continue;
        readConfig(new ConfigReader(data as never), env);
        read.push(page);
      }
    }
    expect(read).toContain('README.md');
  });

  it('show TypeScript that compiles, and whose imports are said to be installed', async () => {
    const all = await blocks();
    const missing: string[] = [];
    for (const { page, language, text } of all) {
      if (language !== 'ts') continue;
      await transform(text, { jsc: { parser: { syntax: 'typescript' } } });
      const added = all
        .filter(it => it.page === page && it.language === 'sh')
        .map(it => it.text);
      for (const [, name] of text.matchAll(
        /from '((?:@[^'/]+\/)?[^'./][^'/]*)/g,
      )) {
        if (!BROUGHT.includes(name) && !added.join().includes(` ${name}`))
          missing.push(`${page}: ${name}`);
      }
    }
    expect(missing).toEqual([]);
  });

  it('count the rows of all tables with their SQL', async () => {
    const [counts] = (await blocks()).filter(it => it.mark === 'run: counts');
    const emulator = await start.emulator();
    await emulator.query('CREATE SCHEMA s; CREATE TABLE s."t%" (n int)');
    await emulator.query('INSERT INTO s."t%" SELECT generate_series(1, 7)');

    expect(await emulator.query(counts.text)).toEqual([
      { schema: 's', table: 't%', rows: '7' },
    ]);
  });

  it('show SQL that Postgres takes, but for what only Lakebase has', async () => {
    const emulator = await start.emulator();
    const { clientId } = emulator.servicePrincipal;
    const ran: string[] = [];
    for (const { language, text } of await blocks()) {
      if (language !== 'sql') continue;
      for (const statement of text.split(/;\s*$/m)) {
        // Functions that Lakebase adds, and the quotes of Databricks SQL.
        if (/databricks_(auth|create_role)|`|^\s*$/.test(statement)) continue;
        await emulator.query(
          statement.replaceAll('<application id>', clientId),
        );
        ran.push(statement);
      }
    }
    expect(ran.length).toBeGreaterThan(3);
  });

  it('have keys and codes as the code has them', async () => {
    const [configuration, errors] = await Promise.all(
      ['configuration.md', 'errors.md'].map(it =>
        readFile(join(ROOT, 'docs', it), 'utf8'),
      ),
    );
    expect(untidy(errors)).toBe(untidy(errorsPage()));
    expect(untidy(configuration)).toBe(untidy(withReference(configuration)));
  });

  it('lead to pages and headings that there are', async () => {
    const broken: string[] = [];
    for (const page of await pages()) {
      const text = await readFile(join(ROOT, page), 'utf8');
      for (const [, target] of text.matchAll(/\]\((\.[^)\s]*|#[^)\s]*)\)/g)) {
        const [path, anchor] = target.split('#');
        const file = path ? join(ROOT, dirname(page), path) : join(ROOT, page);
        if (!existsSync(file)) broken.push(`${page}: ${target}`);
        else if (anchor && !(await anchorsOf(file)).includes(anchor))
          broken.push(`${page}: ${target}`);
      }
    }
    expect(broken).toEqual([]);
  });

  it('are all in the index', async () => {
    const index = await readFile(join(ROOT, 'docs', 'README.md'), 'utf8');
    const missing = (await pages())
      .filter(page => dirname(page) === 'docs' && page !== 'docs/README.md')
      .filter(page => !index.includes(`](./${relative('docs', page)})`));
    expect(missing).toEqual([]);
  });

  it('are short where a newcomer begins', async () => {
    const readme = await readFile(join(ROOT, 'README.md'));
    expect(readme.length).toBeLessThan(10 * 1024);
  });

  it('are in the package, with all that they lead to', () => {
    for (const it of ['docs', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'])
      expect(manifest.files).toContain(it);
  });
});

/** Without the widths of tables, in which formatters differ. */
const untidy = (text: string) =>
  text
    .replace(/ +/g, ' ')
    .replace(/-{2,}/g, '--')
    .replace(/\n{2,}/g, '\n');

async function anchorsOf(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8');
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  );
}

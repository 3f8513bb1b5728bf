import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { preProcessFile } from 'typescript';

/** As in `join(__dirname, '..', 'support', 'process.ts')`: a file that is forked. */
const FORK = /\b__dirname,((?:\s*'[^']+',?)+)/g;

/** Needs the schemas of the plugins, of their configuration or their tables. */
const LEFT_OUT =
  /^test\/(cli\/|branches\/scrub|(.*\/)?(badSetups|configSchema))/;

/** The plugins are not installed. */
export const isPlugin = (name: string) =>
  /^@backstage(-community)?\/plugin-/.test(name);

/** The tests that use the connector, unless they need the plugins. */
export function chosenTests(root: string, files: string[]): string[] {
  const source = join(root, 'src') + sep;
  return files
    .filter(file => /^test\/.*\.test\.ts$/.test(file))
    .filter(file => !LEFT_OUT.test(file))
    .filter(file => {
      const reached = [...reachedFrom(join(root, file))];
      const ours = reached.filter(path => path.startsWith(source));
      const ofOurs = ours.flatMap(packagesIn);
      return (
        (ofOurs.includes('knex') || ofOurs.includes('pg')) &&
        !reached.flatMap(packagesIn).some(isPlugin)
      );
    });
}

/** A file, and those that it imports directly or through others. */
function reachedFrom(file: string): Set<string> {
  const reached = new Set([file]);
  // Grows while it is gone through.
  for (const next of reached) {
    for (const specifier of specifiersIn(next).filter(isRelative)) {
      reached.add(resolve(join(dirname(next), specifier)));
    }
  }
  return reached;
}

const isRelative = (specifier: string) => specifier.startsWith('.');

const packagesIn = (file: string) =>
  specifiersIn(file)
    .filter(specifier => !isRelative(specifier))
    .map(specifier => /^(@[^/]+\/)?[^/]+/.exec(specifier)![0]);

function specifiersIn(file: string): string[] {
  if (!file.endsWith('.ts')) return [];
  const text = readFileSync(file, 'utf8');
  const { importedFiles } = preProcessFile(text, true, true);
  const imports = importedFiles.map(({ fileName }) => fileName);
  const forks = [...text.matchAll(FORK)]
    .map(([, names]) => `./${names.replace(/[\s']/g, '').replaceAll(',', '/')}`)
    .filter(path => path.endsWith('.ts'));
  return [...imports, ...forks];
}

function resolve(path: string): string {
  const candidates = [path, `${path}.ts`, join(path, 'index.ts')];
  const file = candidates.find(name => /\.\w+$/.test(name) && existsSync(name));
  if (!file) throw new Error(`Nothing found at ${path}`);
  return file;
}

import { readFile, writeFile } from 'node:fs/promises';
import { cpus, totalmem, release, type } from 'node:os';
import { join } from 'node:path';
import { isNil } from 'lodash';
import type { Findings } from '../benchmarks';
import { readPackage } from './versions';

const FILE = join(__dirname, '..', 'results.json');

export interface Result extends Findings {
  title: string;
  /** When and on what it was measured. */
  day: string;
  tookS: number;
  machine: string;
  versions: string;
}

/** By the name of the benchmark. */
export type Results = Record<string, Result>;

export async function readResults(): Promise<Results> {
  const text = await readFile(FILE, 'utf8').catch(() => undefined);
  return isNil(text) ? {} : (JSON.parse(text) as Results);
}

export async function writeResults(results: Results): Promise<void> {
  await writeFile(FILE, `${JSON.stringify(results, null, 2)}\n`);
}

export function machine(): string {
  const [{ model }, ...others] = cpus();
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  return `${others.length + 1} × ${model.trim()}, ${gigabytes} GB, ${type()} ${release()}`;
}

const PEERS = [
  'knex',
  'pg',
  '@backstage/backend-defaults',
  '@databricks/lakebase',
];

export const versions = () =>
  [
    `Node ${process.versions.node}`,
    ...PEERS.map(name => `${name} ${readPackage(name).version}`),
  ].join(', ');

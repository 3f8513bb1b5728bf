import { dirname, resolve } from 'node:path';
import { Config } from '@backstage/config';
import { InputError } from '@backstage/errors';
import { DATABASE_KEY, LAKEBASE_KEY } from '../../config/config';
import { EndpointUse, readEndpoints } from '../../config/endpoints';
import type { Clock } from '../../time/clock';
import { EndpointAccess } from '../endpointAccess';
import { readConfig } from '../readConfig';
import { Check, Examination, Finding, ok, Result } from './check';
import { failureOf } from './failureOf';
import { connectionsCheck } from './connectionsCheck';
import {
  adminDatabaseCheck,
  hostNameCheck,
  loginCheck,
  rightsCheck,
} from './databaseChecks';
import { ownershipCheck } from './ownershipCheck';
import { checkSearchEngine } from './searchCheck';
import {
  credentialCheck,
  endpointCheck,
  identityCheck,
  workspaceCheck,
} from './workspaceChecks';

export interface DiagnoseOptions {
  /** As given to the backend with `--config`. */
  configFiles: string[];
  env: Record<string, string | undefined>;
  clock: Clock;
  replicas: number;
  otherPlugins?: number;
}

/** For one endpoint, in this order. */
const CHECKS: Check[] = [
  workspaceCheck,
  identityCheck,
  endpointCheck,
  credentialCheck,
  hostNameCheck,
  loginCheck,
  adminDatabaseCheck,
  rightsCheck,
  ownershipCheck,
  connectionsCheck,
];

export const CONFIGURATION = 'configuration';
const SEARCH_ENGINE = 'search engine';

/** Examines what stands between a backend and its database, step by step. */
export async function* diagnose(
  options: DiagnoseOptions,
): AsyncGenerator<Result> {
  let rootConfig: Config;
  let accesses: EndpointAccess[];
  try {
    rootConfig = await readConfig(options.configFiles);
    accesses = accessesOf(rootConfig, options);
  } catch (error) {
    yield { check: CONFIGURATION, ...failureOf(error) };
    for (const check of [...CHECKS.map(({ title }) => title), SEARCH_ENGINE]) {
      yield skipped(check, CONFIGURATION);
    }
    return;
  }

  const findings = ok(summaryOf(accesses, options.configFiles));
  for (const finding of findings) yield { check: CONFIGURATION, ...finding };
  for (const access of accesses) yield* examine(access, rootConfig, options);
  yield searchResult(rootConfig, options.configFiles);
}

function accessesOf(
  rootConfig: Config,
  { env, clock }: DiagnoseOptions,
): EndpointAccess[] {
  const uses = readEndpoints(rootConfig, env);
  if (uses.length > 0) {
    return uses.map(use => new EndpointAccess(rootConfig, use, clock));
  }
  throw new InputError(
    `No plugin is on Lakebase. Set ${DATABASE_KEY}.client to pg, and ` +
      `${LAKEBASE_KEY} as app-config.example.yaml of this package shows`,
  );
}

function summaryOf(accesses: EndpointAccess[], files: string[]): string {
  const read = files.length > 0 ? files.join(' and ') : 'app-config.yaml';
  const [{ schemaMode, plugin }] = accesses;
  const division = schemaMode
    ? `a schema for each plugin in ${plugin.connection.database}`
    : 'a database for each plugin';
  return `Read ${read}: ${division}`;
}

async function* examine(
  access: EndpointAccess,
  rootConfig: Config,
  { replicas, otherPlugins }: DiagnoseOptions,
): AsyncGenerator<Result> {
  const endpoint = nameOf(access.use);
  const examination: Examination = {
    rootConfig,
    access,
    replicas,
    otherPlugins,
  };
  /** Titles of what has not succeeded, each with what failed first. */
  const failed = new Map<string, string>();
  try {
    for (const check of CHECKS) {
      const { title } = check;
      const missing = check.needs.find(need => failed.has(need));
      if (missing) {
        failed.set(title, failed.get(missing)!);
        yield { endpoint, ...skipped(title, failed.get(missing)!) };
        continue;
      }
      const findings = await check
        .run(examination)
        .catch(error => [failureOf(error)]);
      if (findings.some(({ status }) => status === 'fail'))
        failed.set(title, title);
      for (const finding of findings)
        yield { endpoint, check: title, ...finding };
    }
  } finally {
    await access.close();
  }
}

const nameOf = ({ config, base, plugins }: EndpointUse) =>
  config.endpoint.value + (base ? '' : ` (${plugins.join(', ')})`);

const skipped = (check: string, because: string): Result => ({
  check,
  status: 'skipped',
  message: `Not checked, since ${because} failed`,
});

function searchResult(rootConfig: Config, files: string[]): Result {
  const folders = files.map(file => dirname(resolve(file)));
  const finding: Finding | undefined = checkSearchEngine(rootConfig, [
    ...folders,
    process.cwd(),
  ]);
  return finding
    ? { check: SEARCH_ENGINE, ...finding }
    : {
        check: SEARCH_ENGINE,
        status: 'skipped',
        message: 'Search is not on Lakebase, or not installed here',
      };
}

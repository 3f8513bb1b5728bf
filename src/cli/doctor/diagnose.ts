import { dirname } from 'node:path';
import { DATABASE_KEY, LAKEBASE_KEY } from '../../config/keys';
import {
  type EndpointSettings,
  readConfig,
  type Settings,
} from '../../config/readConfig';
import { ConfigurationError } from '../../errors';
import type { Clock } from '../../time/clock';
import { DatabaseAccess } from '../databaseAccess';
import { explainFailure } from '../explainFailure';
import { loadConfig } from '../loadConfig';
import { Check, Examination, fail, Finding, ok, Result } from './check';
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
  /** Hears what is waited for. */
  progress?: (line: string) => void;
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
  let files: string[] | undefined;
  let settings: Settings;
  let accesses: DatabaseAccess[];
  try {
    const loaded = await loadConfig(options.configFiles);
    files = loaded.files;
    settings = readConfig(loaded.config, options.env);
    accesses = openAccesses(settings, options);
  } catch (error) {
    yield { check: CONFIGURATION, ...failReading(error, files) };
    for (const check of [...CHECKS.map(({ title }) => title), SEARCH_ENGINE]) {
      yield skipped(check, CONFIGURATION);
    }
    return;
  }

  const findings = ok(summarize(accesses, files));
  for (const finding of findings) yield { check: CONFIGURATION, ...finding };
  for (const access of accesses) yield* examine(access, options);
  yield checkSearch(settings, files);
}

/** Where another file was meant, its name is missing from the list. */
function failReading(error: unknown, files: string[] | undefined): Finding {
  const { problem, ...cure } = explainFailure(error);
  const read = files ? `. Read ${listFiles(files)}` : '';
  return fail({ problem: problem + read, ...cure });
}

const listFiles = (files: string[]) =>
  files.length > 0 ? files.join(' and ') : 'no file';

function openAccesses(
  settings: Settings,
  { clock, progress }: DiagnoseOptions,
): DatabaseAccess[] {
  const { endpoints } = settings;
  if (endpoints.length === 0) {
    throw new ConfigurationError(
      'No plugin is on Lakebase',
      `Set ${DATABASE_KEY}.client to pg, and ${LAKEBASE_KEY} as ` +
        'app-config.example.yaml of this package shows',
    );
  }
  return endpoints.map(
    endpoint => new DatabaseAccess(settings, endpoint, clock, { progress }),
  );
}

function summarize(accesses: DatabaseAccess[], files: string[]): string {
  const [{ settings, plugin }] = accesses;
  const division = settings.schemaMode
    ? `a schema for each plugin in ${plugin.connection.database}`
    : 'a database for each plugin';
  return `Read ${listFiles(files)}: ${division}`;
}

async function* examine(
  access: DatabaseAccess,
  { replicas, otherPlugins }: DiagnoseOptions,
): AsyncGenerator<Result> {
  const endpoint = nameEndpoint(access.endpoint);
  const examination: Examination = { access, replicas, otherPlugins };
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
        .catch(error => [fail(explainFailure(error))]);
      if (findings.some(({ status }) => status === 'fail'))
        failed.set(title, title);
      for (const finding of findings)
        yield { endpoint, check: title, ...finding };
    }
  } finally {
    await access.close();
  }
}

const nameEndpoint = ({ endpoint, base, plugins }: EndpointSettings) =>
  endpoint.value + (base ? '' : ` (${plugins.join(', ')})`);

const skipped = (check: string, because: string): Result => ({
  check,
  status: 'skipped',
  message: `Not checked, since ${because} failed`,
});

function checkSearch(settings: Settings, files: string[]): Result {
  const folders = files.map(file => dirname(file));
  const finding: Finding | undefined = checkSearchEngine(settings, [
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

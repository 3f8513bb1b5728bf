import { setTimeout } from 'node:timers/promises';
import { thenStop } from '../../testbed/waiting';
import { type CatalogFiles, TERMS } from './catalogFiles';
import { percentiles } from '../measure/statistics';
import type { Contender } from './comparison';
import { Installation } from './installation';
import { Replica } from './replica';
import type { Bench } from './starts';

/** How one backend did with a full catalog; all in milliseconds. */
export interface Load {
  /** From ready until the last entity has been stitched. */
  stitchedMs: number;
  /** From the begin of its indexing until search has them all. */
  indexedMs: number;
  requests: Record<RequestName, { p50: number; p95: number }>;
}

export type RequestName = keyof typeof REQUESTS;

/** One request each, for a word and a number that change. */
const REQUESTS = {
  'catalog by filter': (_: string, index: number) =>
    '/api/catalog/entities/by-query?limit=20' +
    `&filter=kind=component,spec.owner=team-${index % 40}`,
  'catalog by text': (term: string) =>
    '/api/catalog/entities/by-query?limit=20&filter=kind=component' +
    `&fullTextFilterTerm=${term}&fullTextFilterFields=metadata.title`,
  search: (term: string) => `/api/search/query?term=${term}`,
};

const POLL_INTERVAL_MS = 100;
const WARM_UPS = 30;
const REQUESTS_TO_MEASURE = 300;

const TASK = 'search_index_software_catalog';

const STITCHED =
  'SELECT count(*) FROM catalog.final_entities WHERE final_entity IS NOT NULL';
const INDEXED = 'SELECT count(*) FROM search.documents';
/** The scheduler looks every few seconds for what it was told to do. */
const begunSince = (time: string) => `
  SELECT count(*) FROM search.backstage_backend_tasks__tasks
  WHERE id = '${TASK}'
    AND (current_run_started_at IS NOT NULL OR last_run_ended_at > '${time}')`;

/** Fills a catalog and its search index, and asks both. */
export async function fillAndAsk(
  contender: Contender,
  files: CatalogFiles,
  { postgres, signal }: Bench,
): Promise<Load> {
  const installation = await Installation.open(postgres);
  const withInstallation = async () => {
    const replica = await Replica.load({
      ...installation.settings(contender),
      catalogFiles: files.paths,
      signal,
    });
    const reached = (sql: string, rows = files.entityCount) =>
      timeUntil(rows, sql, installation, signal);
    const measured = async () => {
      await replica.start();
      const stitchedMs = await reached(STITCHED);
      const [{ now }] = (await installation.emulator.query(
        'SELECT now()::text AS now',
      )) as { now: string }[];
      await replica.request(
        `/api/search/.backstage/scheduler/v1/tasks/${TASK}/trigger`,
        { method: 'POST' },
      );
      await reached(begunSince(now), 1);
      const indexedMs = await reached(INDEXED);
      return { stitchedMs, indexedMs, requests: await askAll(replica) };
    };
    return thenStop(measured, () => replica.stop());
  };
  return thenStop(withInstallation, () => installation.stop());
}

async function timeUntil(
  rows: number,
  sql: string,
  { emulator }: Installation,
  signal: AbortSignal,
): Promise<number> {
  const begin = performance.now();
  for (;;) {
    const [{ count }] = (await emulator.query(sql)) as { count: string }[];
    if (Number(count) >= rows) return performance.now() - begin;
    await setTimeout(POLL_INTERVAL_MS, undefined, { signal });
  }
}

async function askAll(replica: Replica): Promise<Load['requests']> {
  return {
    'catalog by filter': await ask(replica, REQUESTS['catalog by filter']),
    'catalog by text': await ask(replica, REQUESTS['catalog by text']),
    search: await ask(replica, REQUESTS.search),
  };
}

async function ask(
  replica: Replica,
  path: (term: string, index: number) => string,
): Promise<{ p50: number; p95: number }> {
  const times: number[] = [];
  for (let index = 0; index < WARM_UPS + REQUESTS_TO_MEASURE; index++) {
    const begin = performance.now();
    await replica.request(path(TERMS[index % TERMS.length], index));
    if (index >= WARM_UPS) times.push(performance.now() - begin);
  }
  const { p50, p95 } = percentiles(times);
  return { p50, p95 };
}

import {
  appendFile,
  cp,
  mkdir,
  mkdtemp,
  rm,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Emulator } from '../emulator';
import {
  type Address,
  chooseAddress,
  loadBackend,
  startBackend,
  stopBackend,
} from '../testbed/backend';
import { commandLine } from '../testbed/commandLine';
import { makeSchema } from '../testbed/makeSchema';
import { startEmulated } from '../testbed/database';
import { installedBackend } from '../testbed/installedBackend';
import { applyUpTo, LAST_OF_CATALOG_3_4 } from '../testbed/olderPortal';
import { migrationsOf } from '../testbed/pluginMigrations';
import { onDeadline, onInterruption } from '../testbed/signals';
import { poll, thenStop, waitFor } from '../testbed/waiting';
import { say } from './report';

const DEADLINE_MS = 5 * 60_000;
const CREDENTIAL_LIFE_MS = 10 * 60_000;

const NEW_ENTITY = `---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: added-since
spec:
  type: service
  lifecycle: production
  owner: guests
`;

interface Stage {
  emulator: Emulator;
  address: Address;
  /** Where the catalog's files are. */
  catalog: string;
  /** Runs the command, which says what it does. */
  command: (...args: string[]) => Promise<{ stdout: string; ms: number }>;
  signal: AbortSignal;
}

/**
 * The published story on this machine: a branch, an upgrade rehearsed on it, a
 * wiped catalog brought back, and who did what at which cost.
 *
 * @throws with what did not happen.
 */
export async function runTour(): Promise<void> {
  const begun = performance.now();
  const backend = await loadBackend();
  const signal = AbortSignal.any([onInterruption(), onDeadline(DEADLINE_MS)]);
  const folder = await mkdtemp(join(tmpdir(), 'backstage-lakebase-tour-'));
  const database = await startEmulated({
    credentialLifeMs: CREDENTIAL_LIFE_MS,
    history: true,
  });
  const { emulator } = database;
  const tour = async () => {
    const address = await chooseAddress();
    const catalog = join(folder, 'catalog');
    await cp(join(__dirname, '..', 'testbed', 'catalog'), catalog, {
      recursive: true,
    });
    const config = join(folder, 'app-config.tour.yaml');
    const locations = [{ type: 'file', target: join(catalog, 'all.yaml') }];
    await writeFile(config, JSON.stringify({ catalog: { locations } }));
    const configFiles = [...database.configFiles, config];
    const stage: Stage = {
      emulator,
      address,
      catalog,
      command: (...args) => command(args, configFiles, address),
      signal,
    };
    const upgrade = await rehearseUpgrade(stage, folder);
    const start = () => startBackend(backend, configFiles);
    const live = async () => {
      await waitFor(() => 'Backstage to start', start, signal);
      const branch = await makeBranch(stage, folder);
      const undone = await loseAndUndo(stage);
      return { branch, undone, audited: await lookBack(stage) };
    };
    const { branch, undone, audited } = await thenStop(live, () =>
      stopBackend(backend),
    );
    const seconds = (ms: number) => `${(ms / 1_000).toFixed(2)} s`;
    say(
      `The tour is over, and all has stopped.\n\n${columns([
        ['', 'here, on an emulator', 'the published story'],
        ['a branch of production', seconds(branch), '1.09 s, the data alone'],
        [
          'an upgrade rehearsed',
          `${seconds(upgrade.ms)}, ${upgrade.verdict}`,
          '-',
        ],
        [
          'the catalog wiped and back',
          `${seconds(undone.ms)}, ${undone.rows} rows`,
          '3.78 s, 32 → 0 → 32 rows',
        ],
        ['rows written since', undone.kept, 'lost, with all that came since'],
        ['who did what', audited, 'a page of SQL'],
        ['in all', seconds(performance.now() - begun), 'by hand'],
      ])}\n\nThese numbers are of an emulator on this machine, which copies files where Lakebase shares them; the story's are of a real Lakebase.\n`,
    );
  };
  await thenStop(tour, async () => {
    await database.stop();
    await rm(folder, { recursive: true });
  });
}

async function command(
  args: string[],
  configFiles: string[],
  { token }: Address,
): Promise<{ stdout: string; ms: number }> {
  say(`backstage-lakebase ${args.join(' ')}`);
  const begin = performance.now();
  const { exitCode, stdout, stderr } = await commandLine(
    [...args, ...configFiles.flatMap(file => ['--config', file])],
    { env: { ...process.env, BACKSTAGE_TOKEN: token } },
  );
  console.log(stderr + stdout);
  if (exitCode !== 0) {
    throw new Error(`backstage-lakebase ${args[0]} ended with ${exitCode}`);
  }
  return { stdout, ms: performance.now() - begin };
}

/** Production has the tables of catalog 3.4, before the portal first starts. */
async function rehearseUpgrade(
  { emulator, command: run }: Stage,
  folder: string,
) {
  const knex = await makeSchema(emulator, 'catalog');
  const scratch = join(folder, 'older');
  await mkdir(scratch);
  await applyUpTo(knex, migrationsOf('catalog'), LAST_OF_CATALOG_3_4, scratch);
  await knex.destroy();
  const installed = await installedBackend(join(folder, 'backend'), [
    'catalog',
  ]);
  const { stdout, ms } = await run('rehearse', '--backend', installed);
  const [, verdict] = /^Verdict: (\w+)/m.exec(stdout)!;
  return { ms, verdict };
}

async function makeBranch({ command: run }: Stage, folder: string) {
  const { ms } = await run(
    ...['branch', 'create', 'tour', '--out', join(folder, 'branch.yaml')],
  );
  return ms;
}

async function loseAndUndo(stage: Stage) {
  const { emulator, address, catalog, command: run, signal } = stage;
  const rows = async () => {
    const [{ count }] = await emulator.query(
      'SELECT count(*)::int FROM catalog.final_entities WHERE final_entity IS NOT NULL',
    );
    return count as number;
  };
  const listed = () => countListed(address, signal);
  let before = 0;
  await poll(
    'the catalog to be complete',
    async () => {
      const [entities, searchable] = [await listed(), await rows()];
      const steady =
        entities > 10 && entities === before && entities === searchable;
      before = entities;
      return steady ? undefined : `${entities} entities`;
    },
    signal,
  );
  const moment = new Date().toISOString();
  await delay(1_000, undefined, { signal });

  say(`Somebody wipes final_entities, which had ${before} rows`);
  await emulator.query('DELETE FROM catalog.final_entities');
  if ((await listed()) !== 0) throw new Error('The portal still lists them');
  say('The portal lists nothing; somebody registers a component meanwhile');
  await appendFile(join(catalog, 'software.yaml'), NEW_ENTITY);
  await poll(
    'the new component',
    async () => ((await listed()) > 0 ? undefined : 'nothing is listed'),
    signal,
  );
  const since = await rows();

  const { ms } = await run(
    ...['undo', '--at', moment, '--plugin', 'catalog', '--restore'],
    ...['--backend', address.url],
  );
  const after = await rows();
  const kept = await isListed(address, 'component:default/added-since', signal);
  if (after < before + 1 || !kept) {
    throw new Error(
      `${after} rows are there, of ${before} and what came since`,
    );
  }
  return { ms, rows: `${before} → 0 → ${after}`, kept: `${since}, all kept` };
}

/** What the account knows of all that. */
async function lookBack({ emulator, command: run }: Stage): Promise<string> {
  const warehouse = ['--warehouse', emulator.controlPlane.warehouse.id];
  const { stdout } = await run('audit', ...warehouse);
  const { clientId } = emulator.servicePrincipal;
  for (const [what, pattern] of [
    ['the rehearsal', /deleted +rehearsal-\S+/],
    ['the branch', /made +tour/],
    ['whoever made it', new RegExp(`${clientId} +postgres createBranch`)],
  ] as const) {
    if (!pattern.test(stdout)) throw new Error(`The audit lacks ${what}`);
  }
  await run('cost', ...warehouse);
  await run('govern', '--group', 'analysts');
  const branches = stdout.match(/^\S+Z +made /gm) ?? [];
  return `${branches.length} branches, by one command`;
}

async function ask<T>(
  { url, token }: Address,
  path: string,
  signal: AbortSignal,
  body?: object,
): Promise<T> {
  const response = await fetch(url + path, {
    method: body ? 'POST' : 'GET',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
    },
    body: body && JSON.stringify(body),
    signal,
  });
  if (!response.ok) throw new Error(`${path} answered HTTP ${response.status}`);
  return (await response.json()) as T;
}

async function countListed(address: Address, signal: AbortSignal) {
  const { totalItems } = await ask<{ totalItems: number }>(
    address,
    '/api/catalog/entities/by-query?limit=0',
    signal,
  );
  return totalItems;
}

async function isListed(address: Address, ref: string, signal: AbortSignal) {
  const { items } = await ask<{ items: unknown[] }>(
    address,
    '/api/catalog/entities/by-refs',
    signal,
    { entityRefs: [ref] },
  );
  return Boolean(items[0]);
}

/** Plain text, each column as wide as it must be. */
function columns(rows: string[][]): string {
  const widths = rows[0].map((_, index) =>
    Math.max(...rows.map(row => row[index].length)),
  );
  return rows
    .map(row => row.map((cell, index) => cell.padEnd(widths[index])).join('  '))
    .join('\n');
}

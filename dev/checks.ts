import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Emulator } from '../emulator';
import type { Address } from '../testbed/backend';
import { URLS } from '../testbed/urls';
import { Finding } from './report';
import { credentialsMinted, loginsPerCredential } from './rotations';
import { poll, waitFor } from '../testbed/waiting';

/** The first one, and two that replaced it. */
const CREDENTIALS_TO_SEE = 3;

const SEARCHED_ENTITY = 'payment-service';

/** Checks over HTTP that Backstage works, whatever its database is. */
export async function checkBackstage(
  address: Address,
  signal: AbortSignal,
): Promise<Finding[]> {
  const get = (path: string) => request(address, path, { signal });
  const refs = await exampleEntities();

  await poll(
    'the example entities',
    async () => {
      const { items } = await request<{ items: unknown[] }>(
        address,
        '/api/catalog/entities/by-refs',
        { method: 'POST', body: JSON.stringify({ entityRefs: refs }), signal },
      );
      const missing = refs.filter((_, index) => !items[index]);
      return missing.length ? `${missing.join(', ')} missing` : undefined;
    },
    signal,
  );

  let hits: string[] = [];
  await poll(
    `a search to find ${SEARCHED_ENTITY}`,
    async () => {
      const { results } = (await get(URLS.search)) as {
        results: { document: { title: string } }[];
      };
      hits = results.map(({ document }) => document.title);
      return hits.includes(SEARCHED_ENTITY)
        ? undefined
        : `found ${hits.join(', ') || 'nothing'}`;
    },
    signal,
  );

  await get(URLS.readiness);
  return [
    ['entities', `all ${refs.length} examples are in the catalog`],
    ['search hits', hits.join(', ')],
  ];
}

/** Waits, on the emulator, until two more credentials have let connections in. */
export async function checkRotations(
  emulator: Emulator,
  signal: AbortSignal,
): Promise<Finding[]> {
  const { gateway } = emulator;
  const minted = () => credentialsMinted(emulator);
  const used = () => loginsPerCredential(emulator).length;
  const refused = () =>
    gateway.refusals.map(({ kind, code }) => `${kind} (${code})`).join(', ');

  const allUsed = async () => {
    while (minted() < CREDENTIALS_TO_SEE || used() < minted()) {
      await once(gateway, 'login', { signal });
    }
  };
  await waitFor(
    () =>
      `${CREDENTIALS_TO_SEE} credentials to log in: ${minted()} minted, ` +
      `${used()} used, refused: ${refused() || 'none'}`,
    allUsed,
    signal,
  );
  if (refused()) throw new Error(`The gateway refused logins: ${refused()}`);

  return [
    ['credentials', `${minted()} minted`],
    ['logins with each', loginsPerCredential(emulator).join(', ')],
    ['logins refused', String(gateway.refusals.length)],
  ];
}

/** Checks, behind the emulator's gateway, that the plugins' data is there. */
export async function checkPostgres(emulator: Emulator): Promise<Finding[]> {
  // The in-memory engine would have answered the search as well.
  const [{ documents }] = (await emulator.query(
    'SELECT count(*) AS documents FROM search.documents',
  )) as { documents: string }[];
  if (Number(documents) === 0) {
    throw new Error('Search works, but its index is not in Postgres');
  }
  const schemas = (await emulator.query(
    `SELECT nspname FROM pg_namespace
     WHERE pg_get_userbyid(nspowner) = $1 ORDER BY 1`,
    [emulator.servicePrincipal.clientId],
  )) as { nspname: string }[];
  return [
    ['plugin schemas', schemas.map(({ nspname }) => nspname).join(', ')],
    ['search index', `${documents} documents in Postgres`],
  ];
}

async function request<T>(
  { url, token }: Address,
  path: string,
  init: RequestInit,
): Promise<T> {
  const response = await fetch(url + path, {
    ...init,
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
    },
  });
  if (!response.ok) {
    throw new Error(
      `${path} answered HTTP ${response.status}: ${await response.text()}`,
    );
  }
  return (await response.json()) as T;
}

/** What the files in testbed/catalog describe, as entity references. */
async function exampleEntities(): Promise<string[]> {
  const folder = join(__dirname, '..', 'testbed', 'catalog');
  const files = await readdir(folder);
  const texts = await Promise.all(
    files.map(file => readFile(join(folder, file), 'utf8')),
  );
  const entity =
    /^kind: (\w+)\nmetadata:\n {2}name: (\S+)(?:\n {2}namespace: (\S+))?/gm;
  return texts.flatMap(text =>
    [...text.matchAll(entity)].map(
      ([, kind, name, namespace = 'default']) =>
        `${kind.toLowerCase()}:${namespace}/${name}`,
    ),
  );
}

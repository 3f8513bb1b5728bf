import { ConfigurationError } from '../../errors';
import { onOneLine } from '../../texts';
import { attempt } from '../../time/attempt';
import type { Terminal } from '../terminal';

/** What people see of the catalog. */
export interface PortalView {
  /** Entities that it lists; missing where it does not answer. */
  listed?: number;
  /** Whether search finds something. */
  found: boolean;
  text: string;
}

const PATIENCE_MS = 30_000;

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * Asks a backend for entities, and its search for one of them. A token for it
 * may be in `BACKSTAGE_TOKEN`.
 */
export async function askPortal(
  url: string,
  { env, clock }: Terminal,
): Promise<PortalView> {
  const base = readUrl(url);
  if (
    env.BACKSTAGE_TOKEN &&
    base.protocol !== 'https:' &&
    !LOOPBACK.test(base.hostname)
  ) {
    throw new ConfigurationError(
      `--backend '${url}' is not https, and the token in BACKSTAGE_TOKEN goes nowhere else`,
      'Give its https URL, or one on this machine',
    );
  }
  const headers: Record<string, string> = env.BACKSTAGE_TOKEN
    ? { authorization: `Bearer ${env.BACKSTAGE_TOKEN}` }
    : {};
  const ask = <T>(path: string) =>
    attempt(
      async signal => {
        const reply = await fetch(new URL(path, base), {
          headers,
          signal,
          redirect: 'error',
        });
        if (!reply.ok)
          throw new Error(`${path} was answered with ${reply.status}`);
        return (await reply.json()) as T;
      },
      { clock, timeoutMs: PATIENCE_MS },
    );
  try {
    const { items, totalItems } = await ask<{
      items: { metadata: { name: string } }[];
      totalItems: number;
    }>('api/catalog/entities/by-query?limit=1');
    const term = items[0]?.metadata.name ?? '';
    const { results } = await ask<{ results: unknown[] }>(
      `api/search/query?term=${encodeURIComponent(term)}`,
    );
    const found = totalItems > 0 && results.length > 0;
    return {
      listed: totalItems,
      found,
      text: `The portal lists ${totalItems} entities, and its search finds ${found ? `'${term}'` : `nothing for '${term}'; it may index anew`}`,
    };
  } catch (error) {
    return {
      found: false,
      text: `The portal could not be asked: ${onOneLine(error)}. It may need a token in BACKSTAGE_TOKEN`,
    };
  }
}

/** @throws ConfigurationError */
function readUrl(url: string): URL {
  try {
    return new URL(url.endsWith('/') ? url : `${url}/`);
  } catch (error) {
    throw new ConfigurationError(
      `--backend '${url}' is no URL`,
      'Give that of the backend, as in https://backstage.company.com',
      error,
    );
  }
}

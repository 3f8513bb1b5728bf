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

/** The search index is made anew on a schedule of its own. */
const INDEXED_AFTER_MS = 60_000;
const POLL_MS = 2_000;

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * What asks a backend for entities, and its search for one of them. A token for
 * it may be in `BACKSTAGE_TOKEN`.
 *
 * @throws ConfigurationError
 */
export function portalAt(
  url: string,
  { env, clock }: Terminal,
  signal: AbortSignal,
): () => Promise<PortalView> {
  const base = readUrl(url);
  const { BACKSTAGE_TOKEN: token } = env;
  if (token && base.protocol !== 'https:' && !LOOPBACK.test(base.hostname)) {
    throw new ConfigurationError(
      `--backend '${url}' is not https, and the token in BACKSTAGE_TOKEN goes nowhere else`,
      'Give its https URL, or one on this machine',
    );
  }
  const ask = <T>(path: string) =>
    attempt(
      async deadline => {
        const reply = await fetch(new URL(path, base), {
          headers: token ? { authorization: `Bearer ${token}` } : {},
          signal: AbortSignal.any([signal, deadline]),
          redirect: 'error',
        });
        if (reply.ok) return (await reply.json()) as T;
        throw new Error(`/${path} was answered with HTTP ${reply.status}`);
      },
      { clock, timeoutMs: PATIENCE_MS },
    );
  const search = async (term: string) => {
    const deadline = clock.monotonic() + INDEXED_AFTER_MS;
    for (;;) {
      const { results } = await ask<{ results: unknown[] }>(
        `api/search/query?term=${encodeURIComponent(term)}`,
      );
      if (results.length > 0) return true;
      if (clock.monotonic() > deadline) return false;
      await clock.pause(POLL_MS, signal);
    }
  };
  return async () => {
    try {
      const { items, totalItems } = await ask<{
        items: { metadata: { name: string } }[];
        totalItems: number;
      }>('api/catalog/entities/by-query?limit=1');
      if (totalItems === 0) {
        return {
          listed: 0,
          found: false,
          text: 'The portal lists no entities',
        };
      }
      const term = items[0].metadata.name;
      const found = await search(term);
      return {
        listed: totalItems,
        found,
        text: `The portal lists ${totalItems} entities, and its search finds ${found ? `'${term}'` : `nothing for '${term}' yet`}`,
      };
    } catch (error) {
      signal.throwIfAborted();
      return {
        found: false,
        text: `The portal could not be asked: ${onOneLine(error)}. It may need a token in BACKSTAGE_TOKEN`,
      };
    }
  };
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

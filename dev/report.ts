import type { Address } from '../testbed/backend';
import { URLS } from '../testbed/urls';

/** Tells the demo's own lines from Backstage's log. */
export const say = (line: string) => console.log(`[demo] ${line}`);

/** Lines to be pasted into a shell. */
export function curlLines({ url, token }: Address): string {
  const authorization = `-H 'Authorization: Bearer ${token}'`;
  return [
    'Components in the catalog:',
    `  curl -s ${authorization} '${url}${URLS.entities}'`,
    'Search, by PgSearchEngine:',
    `  curl -s ${authorization} '${url}${URLS.search}'`,
    'Readiness:',
    `  curl -s '${url}${URLS.readiness}'`,
  ].join('\n');
}

/** Something that was checked, and what was seen. */
export type Finding = [name: string, value: string];

/** Plain text, with the values under each other. */
export function table(rows: Finding[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows
    .map(([name, value]) => `${name.padEnd(width)}  ${value}`)
    .join('\n');
}

import { short } from './journal';
import { CREDENTIAL_LIFE_MS, type Outcome } from './run';

const MIB = 1024 * 1024;

/**
 * Seen were 1 to 2 MiB. In five minutes there are about 20,000 requests and
 * 1,000 connections: half a KiB kept of each request would show, or 10 KiB of
 * each connection.
 */
const MAX_HEAP_GROWTH_BYTES = 10 * MIB;

type Line = [what: string, found: string | number, ok: boolean];

const none = (what: string, found: number): Line => [what, found, found === 0];
const some = (what: string, found: number): Line => [what, found, found > 0];

/** How many there may be: one is due at half of a life, or when one is spoilt. */
function mintsDue({ elapsedMs, faults }: Outcome): number {
  const spoilt = faults.reduce(
    (sum, { credentialsSpoilt = 0 }) => sum + credentialsSpoilt,
    1,
  );
  return spoilt + Math.floor(elapsedMs / (CREDENTIAL_LIFE_MS / 2));
}

function linesOf(outcome: Outcome): Line[] {
  const { journal, heapGrowthBytes } = outcome;
  const due = mintsDue(outcome);
  return [
    some('faults', outcome.faults.length),
    some('requests', outcome.requests),
    ['failed: in flight when a fault struck', journal.excused, true],
    none('failed: all others', journal.failures.length),
    none('failed in the quiet time at the end', journal.quietFailures),
    some('rows acknowledged', outcome.acknowledged),
    none('rows lost', outcome.lost.length),
    some('logins', outcome.logins),
    ['logins refused by a fault', journal.expectedRefusals, true],
    none('logins refused without one', journal.refusals.length),
    ['credentials minted', outcome.minted, outcome.minted > 1],
    [`  of at most ${due} due`, outcome.minted, outcome.minted <= due],
    ['ready at the end', outcome.ready ? 'yes' : 'no', outcome.ready],
    some('pools', outcome.pools.length),
    none('pools that do not answer', outcome.dead.length),
    none('kinds of requests without success', outcome.unserved.length),
    none('queries that wait at the end', outcome.waiting),
    none('connections leaked', outcome.leaked),
    none('connections open after the stop', outcome.openAfterStop),
    none('unhandled rejections', outcome.unhandled.length),
    some('lines of log', outcome.logLines),
    none(`secrets in it, of ${outcome.secrets}`, outcome.secretsTold),
    [
      'heap growth',
      `${(heapGrowthBytes / MIB).toFixed(1)} MiB`,
      heapGrowthBytes <= MAX_HEAP_GROWTH_BYTES,
    ],
  ];
}

/** Whether all is as it has to be, and a table that says so. */
export function verdict(outcome: Outcome): { text: string; ok: boolean } {
  const lines = linesOf(outcome);
  const table = lines.map(
    ([what, found, ok]) =>
      `${what.padEnd(40)}${String(found).padStart(12)}  ${ok ? 'ok' : 'FAILED'}`,
  );
  const details = [
    ...outcome.journal.failures.map(short),
    ...outcome.journal.refusals,
    ...outcome.dead.map(pool => `does not answer: ${pool}`),
    ...outcome.lost.map(id => `lost: ${id}`),
    ...outcome.unserved.map(what => `never answered in the end: ${what}`),
    ...outcome.unhandled,
  ];
  const text = [...details, '', ...table, ''].join('\n');
  return { text, ok: lines.every(([, , ok]) => ok) };
}

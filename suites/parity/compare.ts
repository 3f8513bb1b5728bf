import type { JsonValue } from '@backstage/types';
import { isEqual } from 'lodash';
import { Difference, DIFFERENCES } from './differences';
import type { Observation } from './observe';
import type { Row } from './rows';

/** One value that the two sides do not have in common. */
export interface Change {
  path: string;
  stock?: JsonValue;
  ours?: JsonValue;
}

export interface Comparison {
  /** Names of the allowed differences that were seen. */
  allowed: string[];
  /** What no allowed difference explains. */
  unexplained: Change[];
}

/** Finds what differs, and which allowed difference explains it. */
export function compare(
  row: Row,
  stock: Observation,
  ours: Observation,
): Comparison {
  const allowed = new Set<string>();
  const unexplained: Change[] = [];
  // Two services that fail for a reason of the test bench would agree too.
  const because = stock.because ?? '';
  if (
    !because.includes(row.refused ?? '') ||
    Boolean(row.refused) !== Boolean(because)
  ) {
    unexplained.push({ path: 'because', stock: because });
  }
  for (const change of changes(stock, ours)) {
    const reason = DIFFERENCES.find(
      difference =>
        (!difference.namedByRow || row.differs?.includes(difference.name)) &&
        explains(difference, change),
    );
    if (reason) allowed.add(reason.name);
    else unexplained.push(change);
  }
  return { allowed: [...allowed], unexplained };
}

const explains = (difference: Difference, change: Change) =>
  difference.changes.some(
    pattern =>
      pattern.path.test(change.path) &&
      (!('stock' in pattern) || isEqual(pattern.stock, change.stock)) &&
      (!('ours' in pattern) || isEqual(pattern.ours, change.ours)),
  );

function changes(stock: Observation, ours: Observation): Change[] {
  const both = stock.refused === ours.refused;
  const [left, right] = [stock, ours].map(observation => {
    const { refused, refusedAfterMending, leftOpen, state } = observation;
    // Nothing else can be the same when only one side went on.
    const comparable = both ? state : {};
    return leaves({ refused, refusedAfterMending, leftOpen, ...comparable });
  });
  const paths = new Set([...left.keys(), ...right.keys()]);
  return [...paths]
    .map(path => ({ path, stock: left.get(path), ours: right.get(path) }))
    .filter(change => !isEqual(change.stock, change.ours));
}

/** Every value that is not an object, with the way to it. */
function leaves(
  value: object,
  prefix = '',
  found = new Map<string, JsonValue>(),
): Map<string, JsonValue> {
  for (const [key, inner] of Object.entries(value) as [string, JsonValue][]) {
    const path = prefix + key;
    const isBranch = typeof inner === 'object' && inner !== null;
    if (isBranch) leaves(inner, `${path}.`, found);
    else if (inner !== undefined) found.set(path, inner);
  }
  return found;
}

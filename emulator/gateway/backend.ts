import type { Branch } from '../branch';
import type { Compute } from './compute';

/** What is behind one host. */
export interface Backend {
  branch: Branch;
  compute: Compute;
}

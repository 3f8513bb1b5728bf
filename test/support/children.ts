import { join } from 'node:path';
import { Child, type ChildOptions } from '../../testbed/childProcess';

/** Children of one test file, none of which outlives its test. */
export function children() {
  const running: Child[] = [];

  afterEach(async () => {
    await Promise.all(running.splice(0).map(child => child.kill()));
  });

  /** Forks a file of this folder. */
  return (entry: string, options?: ChildOptions): Child => {
    const child = new Child(join(__dirname, entry), options);
    running.push(child);
    return child;
  };
}

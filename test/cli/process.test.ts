import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { spawnCommand } from './commandLine';

describe('the command', () => {
  it('ends quietly when nobody reads its output any more', async () => {
    const child = spawnCommand(['--help']);
    child.stdout.destroy();

    const [complaint, [exitCode]] = await Promise.all([
      text(child.stderr),
      once(child, 'close') as Promise<[number]>,
    ]);

    expect(complaint).toBe('');
    expect(exitCode).toBe(0);
  });
});

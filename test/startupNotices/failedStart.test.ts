import { FakeClock } from '../../testbed/fakeClock';
import { lakebaseTests } from '../support/lakebase';

const start = lakebaseTests();

const NOTICE = /Backstage has not started/;

async function startWithoutRole() {
  const clock = new FakeClock();
  const emulator = await start.emulator();
  const stranger = await emulator.addServicePrincipal({ role: false });
  const lakebase = start.lakebase(
    emulator,
    { lakebase: { workspace: { ...stranger } } },
    { clock },
  );
  await expect(lakebase.getClient('catalog')).rejects.toThrow();
  const notices = () =>
    lakebase.lines.filter(({ message }) => NOTICE.test(message));
  return { lakebase, clock, notices };
}

describe('a start that failed', () => {
  it('is told once, below what Backstage says of it', async () => {
    const { lakebase, clock, notices } = await startWithoutRole();
    expect(notices()).toEqual([]);
    await expect(lakebase.getClient('search')).rejects.toThrow();

    await clock.advance(60_000);

    const [notice, ...more] = notices();
    expect(more).toEqual([]);
    expect(notice.level).toBe('error');
    expect(notice.message).toContain('let the start-up probe end it');
  });

  it('goes unsaid when Backstage starts without the plugin', async () => {
    const { lakebase, clock, notices } = await startWithoutRole();
    await lakebase.announce();
    await expect(lakebase.getClient('catalog')).rejects.toThrow();

    await clock.advance(60_000);

    expect(notices()).toEqual([]);
  });

  it('goes unsaid when the process is stopped', async () => {
    const { lakebase, clock, notices } = await startWithoutRole();
    await lakebase.stop();

    await clock.advance(60_000);

    expect(notices()).toEqual([]);
  });
});

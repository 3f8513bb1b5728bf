import { lakebaseTests } from '../support/lakebase';
import { HOUR } from '../../testbed/durations';
import { shiftedLakebases } from '../support/shiftedLakebase';

// Each test starts a process.
jest.setTimeout(60_000);

// Its processes end before their emulators do.
const startShifted = shiftedLakebases();
const start = lakebaseTests();

const PID = 'select pg_backend_pid() as pid';

describe.each([
  ['two hours ahead', 2 * HOUR],
  ['two hours behind', -2 * HOUR],
])('the clock of the machine is %s', (_, offsetMs) => {
  it('the portal logs in with one credential, and again when it has expired', async () => {
    const emulator = await start.emulator();
    const lakebase = startShifted(emulator, offsetMs);
    await lakebase.query();
    await emulator.gateway.dropConnections();
    await lakebase.noticeLoss();
    await lakebase.query();
    expect(emulator.controlPlane.count('credentials')).toBe(1);
    expect(emulator.controlPlane.count('token')).toBe(1);

    // An hour and a bit passes for everybody.
    emulator.controlPlane.clockOffsetMs = 1.1 * HOUR;
    lakebase.shiftClock(offsetMs + 1.1 * HOUR);
    await emulator.gateway.dropConnections();
    await lakebase.noticeLoss();
    await lakebase.query();

    expect(emulator.controlPlane.count('credentials')).toBe(2);
    expect(emulator.gateway.logins).toHaveLength(3);
    expect(emulator.gateway.refusals).toEqual([]);
  });
});

describe('the machine sleeps until long after the credential has expired', () => {
  it('the first query afterwards takes a connection from before', async () => {
    const emulator = await start.emulator();
    const lakebase = startShifted(emulator);
    const [{ pid }] = await lakebase.query(PID);

    lakebase.stop();
    emulator.controlPlane.clockOffsetMs = 2 * HOUR;
    lakebase.shiftClock(2 * HOUR);
    emulator.controlPlane.answer('credentials', { status: 503 });
    lakebase.wakeUp();

    await expect(lakebase.query(PID)).resolves.toEqual([{ pid }]);
  });

  it('the first new connection afterwards costs one mint and is not refused', async () => {
    const emulator = await start.emulator();
    const lakebase = startShifted(emulator);
    const [{ pid }] = await lakebase.query(PID);

    lakebase.stop();
    emulator.controlPlane.clockOffsetMs = 2 * HOUR;
    lakebase.shiftClock(2 * HOUR);
    const closed = emulator.gateway.dropConnections();
    lakebase.wakeUp();
    await closed;
    await lakebase.noticeLoss();
    const [session] = await lakebase.query(PID);

    expect(session.pid).not.toBe(pid);
    expect(emulator.controlPlane.count('credentials')).toBe(2);
    expect(emulator.gateway.refusals).toEqual([]);
  });
});

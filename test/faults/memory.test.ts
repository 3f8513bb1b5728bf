import { children } from '../support/children';
import { lakebaseConfig, lakebaseTests } from '../support/lakebase';
import type { Heap } from '../support/memoryProcess';

// To look at all of the heap takes its time.
jest.setTimeout(60_000);

// Its processes end before their emulators do.
const startChild = children();
const start = lakebaseTests();

async function startLookingInside() {
  const emulator = await start.emulator();
  const config = lakebaseConfig(emulator, { pluginDivisionMode: 'schema' });
  const child = startChild('memoryProcess.ts', {
    args: [JSON.stringify(config)],
  });
  const idOfLatestLogin = () => emulator.gateway.logins.at(-1)!.tokenId;
  return { emulator, child, idOfLatestLogin };
}

describe('somebody reads the memory of the portal', () => {
  it('they find the credential of now, and none of those before', async () => {
    const { emulator, child, idOfLatestLogin } = await startLookingInside();
    await child.ask('connect', 3);
    const old = idOfLatestLogin();
    const before = await child.ask<Heap>('inspectHeap');

    await child.ask('rotate', 1);
    await child.ask('connect', 5);
    const after = await child.ask<Heap>('inspectHeap');

    // Those that logged in with the old one are still open.
    expect(emulator.gateway.logins).toHaveLength(5);
    expect(before.credentialIds).toEqual([old]);
    expect(after.credentialIds).toEqual([idOfLatestLogin()]);
    expect(idOfLatestLogin()).not.toBe(old);
  });
});

describe('the portal runs for days', () => {
  it('a hundred refreshes leave one credential in memory', async () => {
    const { emulator, child } = await startLookingInside();
    await child.ask('connect', 3);

    await child.ask('rotate', 100);
    const heap = await child.ask<Heap>('inspectHeap');

    expect(emulator.controlPlane.count('credentials')).toBeGreaterThan(100);
    expect(heap.credentialIds).toHaveLength(1);
    // The HTTP client may still hold the one before the latest.
    expect(heap.workspaceTokens).toBeLessThanOrEqual(2);
  });
});

import { once } from 'node:events';
import { join } from 'node:path';
import type { JsonObject } from '@backstage/types';
import { merge } from 'lodash';
import type { Emulator } from '../../emulator';
import { temporaryFiles } from '../support/appConfig';
import type { Child } from '../../testbed/childProcess';
import { children } from '../support/children';
import { lakebaseConfig, lakebaseTests } from '../support/lakebase';
import { MINUTE } from '../../testbed/durations';

// Each test starts a whole backend.
jest.setTimeout(60_000);

// Its processes end before their emulators do.
const startChild = children();
const start = lakebaseTests();
const files = temporaryFiles();

/** A real backend with a plugin that uses its database. */
function startBackend(emulator: Emulator, lakebase: JsonObject = {}) {
  const clockFile = files.file('clock-offset', '0');
  const config = merge(
    lakebaseConfig(emulator, { pluginDivisionMode: 'schema', lakebase }),
    {
      app: { baseUrl: 'http://localhost' },
      backend: {
        baseUrl: 'http://127.0.0.1:7007',
        listen: { host: '127.0.0.1', port: 0 },
      },
    },
  );
  const child = startChild('backendProcess.ts', {
    args: [JSON.stringify(config)],
    execArgv: ['--import', join(__dirname, '..', 'support', 'shiftedDate.ts')],
    env: {
      CLOCK_OFFSET_FILE: clockFile,
      NODE_ENV: 'production',
      LOG_LEVEL: 'debug',
    },
  });
  return {
    child,
    shiftClock: (ms: number) => files.replace(clockFile, String(ms)),
  };
}

/** Ends it as an orchestrator does. */
async function terminate(child: Child): Promise<number | string> {
  child.process.kill('SIGTERM');
  return child.ended;
}

async function expectCleanEnd(emulator: Emulator, { output }: Child) {
  expect(output).not.toMatch(/unhandled|uncaught/i);
  const [, ...atShutdown] = output.split(/Running \d+ before shutdown tasks/);
  expect(atShutdown).toHaveLength(1);
  expect(atShutdown[0]).not.toMatch(/"level":"(warn|error|info)"/);
  await emulator.gateway.drained();
  const { clientId } = emulator.servicePrincipal;
  const sessions = await emulator.query(
    'select pid from pg_stat_activity where usename = $1',
    [clientId],
  );
  expect(sessions).toEqual([]);
}

describe('SIGTERM comes while the portal starts', () => {
  it('it ends within connectTimeout when no credential can be minted', async () => {
    const emulator = await start.emulator();
    emulator.controlPlane.answer('credentials', { hang: true });
    const { child } = startBackend(emulator, { connectTimeout: '1s' });
    await emulator.controlPlane.once('credentials', 'received');

    await expect(terminate(child)).resolves.toBe(0);

    expect(child.output).toContain('the backend did not start');
    expect(emulator.gateway.logins).toEqual([]);
    await expectCleanEnd(emulator, child);
  });

  it('it ends in order when the start succeeds after all', async () => {
    const emulator = await start.emulator();
    emulator.gateway.loginLatencyMs = 500;
    const { child } = startBackend(emulator);
    await once(emulator.gateway, 'attempt');

    await expect(terminate(child)).resolves.toBe(0);

    expect(child.output).not.toContain('the backend did not start');
    await expectCleanEnd(emulator, child);
  });
});

describe('SIGTERM comes while the portal runs', () => {
  it('it ends with a hanging mint, and tells those who wait for it', async () => {
    const emulator = await start.emulator();
    const { child, shiftClock } = startBackend(emulator);
    await child.ask('started');
    emulator.controlPlane.answer('credentials', { hang: true });
    shiftClock(90 * MINUTE);
    emulator.controlPlane.clockOffsetMs = 90 * MINUTE;
    await emulator.gateway.dropConnections();
    await child.ask('noticeLoss');
    const received = emulator.controlPlane.once('credentials', 'received');
    await child.ask('query', 'select 1');
    await received;

    await expect(terminate(child)).resolves.toBe(0);

    expect(child.output).toContain('select 1: stopped');
    await expectCleanEnd(emulator, child);
  });

  it('it lets queries in flight finish first', async () => {
    const emulator = await start.emulator();
    const { child } = startBackend(emulator);
    await child.ask('started');
    await child.ask('query', 'select pg_sleep(1)');

    await expect(terminate(child)).resolves.toBe(0);

    expect(child.output).toContain('select pg_sleep(1): done');
    await expectCleanEnd(emulator, child);
  });
});

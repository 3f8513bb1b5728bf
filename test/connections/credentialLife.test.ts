import { MINUTE } from '../../testbed/durations';
import { FakeClock, passTime } from '../../testbed/fakeClock';
import { liveThrough } from '../support/liveThrough';
import {
  killSessions,
  lakebaseTests,
  queryInParallel,
} from '../support/lakebase';

const start = lakebaseTests();

/** A portal that has used its database, at the beginning of a credential. */
async function startPortal() {
  const emulator = await start.emulator();
  const clock = new FakeClock();
  const lakebase = start.lakebase(
    emulator,
    { pluginDivisionMode: 'schema' },
    { clock },
  );
  const knex = await lakebase.getClient('catalog');
  return { emulator, clock, knex };
}

const ids = (count: number) => Array.from({ length: count }, (_, i) => `p${i}`);

describe('the life of a credential', () => {
  it('is minted once for 20 plugins with 5 connections each', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, { pluginDivisionMode: 'schema' });

    const pools = await Promise.all(ids(20).map(id => lakebase.getClient(id)));
    await Promise.all(pools.map(knex => queryInParallel(knex, 5)));

    expect(emulator.controlPlane.count('credentials')).toBe(1);
    expect(emulator.controlPlane.count('token')).toBe(1);
    expect(emulator.controlPlane.count('endpoint')).toBe(1);
    expect(emulator.gateway.refusals).toEqual([]);
  });

  it('serves new connections after a rotation, with the new credential', async () => {
    const { emulator, clock, knex } = await startPortal();
    const [{ tokenId: first }] = emulator.gateway.logins;

    await liveThrough(emulator, clock, 30 * MINUTE);
    await killSessions(emulator, knex);
    await knex.raw('select 1');

    expect(emulator.gateway.logins.at(-1)!.tokenId).not.toBe(first);
    expect(emulator.gateway.refusals).toEqual([]);
  });

  it('does not end connections or transactions that are open', async () => {
    const { emulator, clock, knex } = await startPortal();

    await knex.transaction(async tx => {
      const pid = async () =>
        (
          await tx.raw<{ rows: { pid: number }[] }>(
            'select pg_backend_pid() as pid',
          )
        ).rows[0].pid;
      const before = await pid();
      await liveThrough(emulator, clock, 90 * MINUTE);
      expect(emulator.controlPlane.count('credentials')).toBe(4);
      expect(await pid()).toBe(before);
    });
    expect(emulator.gateway.logins).toHaveLength(1);
  });

  it.each([
    ['answers 503', { status: 503 }],
    ['hangs', { hang: true }],
    ['sends garbage', { body: '<html>Sign in</html>' }],
    ['resets connections', { reset: true }],
  ] as const)(
    'outlasts a control plane that %s while the credential is valid',
    async (_, fault) => {
      const { emulator, clock, knex } = await startPortal();
      emulator.controlPlane.answer('credentials', fault);
      const asked = emulator.controlPlane.once('credentials', 'received');
      await passTime(emulator, clock, 30 * MINUTE);
      await asked;

      await killSessions(emulator, knex);
      await queryInParallel(knex, 5);

      expect(emulator.gateway.refusals).toEqual([]);
    },
  );

  it('is replaced by one mint when all tokens are revoked and all sessions killed', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, { pluginDivisionMode: 'schema' });
    const knex = await lakebase.getClient('catalog');
    await queryInParallel(knex, 10);
    const mints = emulator.controlPlane.count('credentials');

    emulator.gateway.revokeTokens();
    await killSessions(emulator, knex);
    await queryInParallel(knex, 10);

    expect(emulator.controlPlane.count('credentials')).toBe(mints + 1);
  });
});

import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import {
  lakebaseConfig,
  lakebaseTests,
  queryInParallel,
} from './support/lakebase';

const start = lakebaseTests();
const schemaMode = { pluginDivisionMode: 'schema' };

describe('shutdown', () => {
  it('leaves no connection on the server', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator);
    const pools = await Promise.all(
      ['catalog', 'search', 'auth'].map(id => lakebase.getClient(id)),
    );
    await Promise.all(pools.map(knex => queryInParallel(knex, 3)));

    await lakebase.stop();

    const user = emulator.servicePrincipal.clientId;
    await emulator.gateway.drained();
    await expect(
      emulator.query('select pid from pg_stat_activity where usename = $1', [
        user,
      ]),
    ).resolves.toEqual([]);
  });

  it('lets a query in flight finish', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode);
    const knex = await lakebase.getClient('catalog');

    const query = knex.raw('select pg_sleep(1)').then(() => 'finished');
    await once(knex, 'start');
    await new Promise(resolve => setImmediate(resolve));
    await lakebase.stop();

    await expect(query).resolves.toBe('finished');
  });

  it('refuses queries that come while one in flight finishes', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      knexConfig: { pool: { max: 1 } },
    });
    const knex = await lakebase.getClient('catalog');
    const inFlight = knex.raw('select pg_sleep(1)').then(() => 'finished');
    const queued = knex.raw('select 1').then();
    const refused = expect(queued).rejects.toMatchObject({ code: 'stopped' });
    await once(knex, 'start');
    await new Promise(resolve => setImmediate(resolve));

    const stopped = lakebase.stop();
    await refused;
    await expect(knex.raw('select 1')).rejects.toMatchObject({
      code: 'stopped',
    });

    // Both were told before the query in flight was through.
    await expect(
      Promise.race([inFlight, Promise.resolve('in flight')]),
    ).resolves.toBe('in flight');
    await stopped;
    await expect(inFlight).resolves.toBe('finished');
  });

  it('ends a wait for a credential at once, and refuses later ones', async () => {
    const emulator = await start.emulator();
    emulator.controlPlane.answer('credentials', { hang: true });
    const lakebase = start.lakebase(emulator, schemaMode);
    const received = emulator.controlPlane.once('credentials', 'received');
    const waiting = lakebase.getClient('catalog');
    const outcome = expect(waiting).rejects.toMatchObject({ code: 'stopped' });
    await received;

    await lakebase.stop();

    await outcome;
    await expect(lakebase.getClient('search')).rejects.toMatchObject({
      code: 'stopped',
    });
  });

  it('ends a wait for a waking endpoint at once', async () => {
    const emulator = await start.emulator();
    emulator.gateway.refuseNext('startingUp', { times: Infinity });
    const lakebase = start.lakebase(emulator, schemaMode);
    const refused = once(emulator.gateway, 'refusal');
    const waiting = lakebase.getClient('catalog');
    const outcome = expect(waiting).rejects.toMatchObject({ code: 'stopped' });
    await refused;

    await lakebase.stop();

    await outcome;
  });

  it('closes connections that are held outside the pools', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, schemaMode);
    const knex = await lakebase.getClient('events');
    const { acquireRawConnection } = knex.client as {
      acquireRawConnection(): Promise<unknown>;
    };
    await acquireRawConnection();

    await lakebase.stop();

    await emulator.gateway.drained();
  });

  it('closes what a transaction opened to cancel its query', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      lakebase: { connectTimeout: { seconds: 1 } },
    });
    const knex = await lakebase.getClient('catalog');
    const stuck = knex.transaction(async tx => {
      emulator.gateway.stall(true);
      await tx.raw('select pg_sleep(2)').timeout(50, { cancel: true });
    });

    // It ends with connectTimeout, though nothing ever answers.
    await expect(stuck).rejects.toBeDefined();
    emulator.gateway.stall(false);
    await lakebase.stop();
    await emulator.gateway.drained();
  });

  it('ends a statement of the preparation that has no answer', async () => {
    const emulator = await start.emulator();
    await emulator.query(
      `create function wait() returns event_trigger language plpgsql as
         'begin perform pg_sleep(20); end';
       create event trigger wait on ddl_command_start
         when tag in ('CREATE SCHEMA') execute function wait()`,
    );
    const lakebase = start.lakebase(emulator, {
      ...schemaMode,
      lakebase: { connectTimeout: { seconds: 1 } },
    });

    await expect(lakebase.getClient('catalog')).rejects.toMatchObject({
      code: 'connect-timeout',
    });
  });

  it.each(['used and shut down', 'used and left', 'waiting'])(
    'lets the process exit by itself (%s)',
    async manner => {
      const emulator = await start.emulator();
      if (manner === 'waiting') {
        emulator.controlPlane.answer('credentials', { status: 503 });
      }
      const child = fork(
        path.join(__dirname, 'support', 'process.ts'),
        [manner, JSON.stringify(lakebaseConfig(emulator, schemaMode))],
        { execArgv: ['--import', 'tsx'] },
      );

      const [code] = (await once(child, 'exit')) as [number];

      expect(code).toBe(0);
      await emulator.gateway.drained();
    },
  );
});

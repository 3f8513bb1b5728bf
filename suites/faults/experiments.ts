import { setTimeout } from 'node:timers/promises';
import { inspect } from 'node:util';
import type { Client } from 'pg';
import type { PluginDatabase, Settings } from '../../testbed/contenders';
import { letTimePass } from './shiftedDate';
import { inParallel, MINUTE_MS, outcomes, Situation } from './situation';

/** A fault that the peers can be put through as well. */
export interface Experiment {
  /** The row of the table that it belongs to. */
  fault: string;
  /** What this module has to show. */
  expected: string;
  settings?: Partial<Settings>;
  /** For databases with Knex only. */
  needsKnex?: boolean;
  /** Minting is the user's own with a connection function. */
  needsOwnMint?: boolean;
  run(situation: Situation): Promise<string>;
}

const DOWN = { status: 503 };

const NONE = (count: number) => `0 of ${count} queries failed`;

/** A minute before the end: too late for a refresh ahead, good for a login. */
const ALMOST_OVER_MS = 59 * MINUTE_MS;
const OVER_MS = 61 * MINUTE_MS;

export const EXPERIMENTS: Experiment[] = [
  {
    fault: 'it is down, the credential still valid',
    expected: NONE(5),
    async run(situation) {
      const database = await situation.pluginWith(2);
      situation.emulator.controlPlane.answer('credentials', DOWN);
      letTimePass(ALMOST_OVER_MS);
      return inParallel(database, 5);
    },
  },
  {
    fault: 'it is down, the credential run out: open connections',
    expected: NONE(5),
    async run(situation) {
      const database = await situation.pluginWith(5);
      situation.emulator.controlPlane.answer('credentials', DOWN);
      letTimePass(OVER_MS);
      return inParallel(database, 5);
    },
  },
  {
    fault: 'it is down, the credential run out: new connections',
    expected: NONE(5),
    async run(situation) {
      const { controlPlane } = situation.emulator;
      const database = await situation.pluginWith(2);
      controlPlane.answer('credentials', DOWN);
      letTimePass(OVER_MS);
      const ended = inParallel(database, 5);
      await controlPlane.once('credentials');
      await noticed();
      controlPlane.recover();
      return ended;
    },
  },
  {
    fault: 'it does not answer',
    expected: NONE(5),
    async run(situation) {
      const database = await situation.pluginWith(5);
      situation.emulator.controlPlane.answer('credentials', { hang: true });
      letTimePass(ALMOST_OVER_MS);
      return inParallel(database, 5);
    },
  },
  {
    fault: 'it answers with nonsense',
    expected: NONE(5),
    needsOwnMint: true,
    async run(situation) {
      const database = await situation.pluginWith(2);
      situation.emulator.controlPlane.answer('credentials', {
        change: (body: object) => ({ ...body, expire_time: 'soon' }),
      });
      letTimePass(ALMOST_OVER_MS);
      return inParallel(database, 5);
    },
  },
  {
    fault: 'the credential is renewed',
    expected: '1 mint, 0 connections closed',
    settings: { poolMax: 6 },
    async run(situation) {
      const { controlPlane, gateway } = situation.emulator;
      const database = await situation.pluginWith(5);
      const before = situation.mints;
      const logins = gateway.logins.length;
      const minted = controlPlane.once('credentials');
      letTimePass(ALMOST_OVER_MS);
      await inParallel(database, 6);
      await minted;
      const closed = gateway.logins.length - logins - 1;
      return `${situation.mints - before} mint${
        situation.mints - before === 1 ? '' : 's'
      }, ${closed} connections closed`;
    },
  },
  {
    fault: 'all plugins start at once',
    expected: '1 mint for 20 plugins with 5 connections each',
    async run(situation) {
      const databases = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          situation.open(`plugin-${index}`),
        ),
      );
      await Promise.all(databases.map(database => inParallel(database, 5)));
      const mints = situation.mints;
      return `${mints} mint${mints === 1 ? '' : 's'} for 20 plugins with 5 connections each`;
    },
  },
  {
    fault: 'it is down, and connections are asked for',
    expected: '0 connections left half open',
    settings: { connectTimeoutMs: 1_000 },
    async run(situation) {
      const { controlPlane, gateway } = situation.emulator;
      const database = await situation.pluginWith(1);
      controlPlane.answer('credentials', DOWN);
      letTimePass(OVER_MS);
      await inParallel(database, 5);
      const halfOpen = gateway.openConnections - loggedIn(gateway);
      return `${Math.max(0, halfOpen)} connections left half open`;
    },
  },
  {
    fault: 'the credential is revoked',
    expected: NONE(5),
    async run(situation) {
      const { gateway } = situation.emulator;
      const database = await situation.pluginWith(5);
      gateway.revokeTokens();
      await gateway.dropConnections();
      await noticed();
      return inParallel(database, 5);
    },
  },
  {
    fault: 'the clock is two hours fast',
    expected: '0 of 5 queries failed, 1 mint',
    async run(situation) {
      letTimePass(120 * MINUTE_MS);
      situation.emulator.controlPlane.clockOffsetMs = -120 * MINUTE_MS;
      const database = await situation.open('catalog');
      const failed = await inParallel(database, 5);
      return `${failed}, ${situation.mints} mint${situation.mints === 1 ? '' : 's'}`;
    },
  },
  {
    fault: 'the endpoint wakes up',
    expected: NONE(5),
    async run(situation) {
      const database = await situation.pluginWith(1);
      await situation.emulator.gateway.suspend({
        wakeDelayMs: 500,
        while: 'startingUp',
      });
      await noticed();
      return inParallel(database, 5);
    },
  },
  {
    fault: 'it ends a session within a query',
    expected: 'the next query works',
    settings: { poolMax: 1 },
    async run(situation) {
      const { emulator } = situation;
      const database = await situation.pluginWith(1);
      const running = database.query('select pg_sleep(60)');
      const next = running.then(
        () => 'works',
        () =>
          database.query('select 1').then(
            () => 'works',
            () => 'fails',
          ),
      );
      await inQuery(situation);
      await emulator.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where query = 'select pg_sleep(60)'`,
      );
      return `the next query ${await next}`;
    },
  },
  {
    fault: 'it has fewer connections than the pools may open',
    expected: NONE(50),
    settings: { maxConnections: 20 },
    async run(situation) {
      situation.emulator.gateway.connectionLimit = 20;
      const databases: PluginDatabase[] = [];
      for (let index = 0; index < 10; index++) {
        databases.push(await situation.open(`plugin-${index}`));
      }
      return outcomes(
        databases.flatMap(database =>
          Array.from({ length: 5 }, () =>
            database.query('select pg_sleep(0.05)'),
          ),
        ),
      );
    },
  },
  {
    fault: 'a plugin listens again after a renewal',
    expected: 'listens',
    needsKnex: true,
    async run(situation) {
      const { knex } = await situation.pluginWith(1);
      const client = knex!.client as RawClient;
      letTimePass(OVER_MS);
      try {
        const connection = await client.acquireRawConnection();
        await connection.query('LISTEN anything');
        await client.destroyRawConnection(connection);
        return 'listens';
      } catch {
        return 'is refused';
      }
    },
  },
  {
    fault: 'somebody prints the database client',
    expected: 'shows no credential',
    needsKnex: true,
    async run(situation) {
      const { knex } = await situation.pluginWith(1);
      const shown = inspect(knex!.client, { depth: 8 });
      // How every JSON Web Token begins.
      return shown.includes('eyJ')
        ? 'shows the credential'
        : 'shows no credential';
    },
  },
];

interface RawClient {
  acquireRawConnection(): Promise<Client>;
  destroyRawConnection(connection: Client): Promise<void>;
}

const loggedIn = ({ logins }: Situation['emulator']['gateway']) =>
  new Set(logins).size;

/** Until pools have seen that connections are gone. */
const noticed = () => setTimeout(200);

async function inQuery({ emulator }: Situation): Promise<void> {
  for (;;) {
    const rows = await emulator.query(
      `select 1 from pg_stat_activity
       where query = 'select pg_sleep(60)' and state = 'active'`,
    );
    if (rows.length) return;
    await setTimeout(20);
  }
}

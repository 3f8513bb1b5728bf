import { inspect } from 'node:util';
import type { JsonValue } from '@backstage/types';
import type { Knex } from 'knex';
import type { Client } from 'pg';
import { catchRefusal, checkAtStart } from '../support/appConfig';
import { lakebaseTests } from '../support/lakebase';

// Somebody who reads logs, errors, and what a debugger or a crash report shows.
const start = lakebaseTests();

interface Insides {
  config: Knex.Config;
  connectionSettings: object;
  acquireRawConnection(): Promise<Client>;
}

describe('a connection that is text', () => {
  it.each<JsonValue>([
    'host=h password=hunter2 dbname=x',
    ' host=h password=hunter2',
    'postgres//u:hunter2@h/d',
    'mysql://u:hunter2@h/d',
    'jdbc:postgresql://u:hunter2@h/d',
    'postgresql://u#:hunter2@h/d',
    'postgresql://u:hunter2@h:port/d',
    '\tpostgresql://u:hunter2@h/d',
  ])('is refused without what it holds: %j', connection => {
    const message = catchRefusal(() => checkAtStart({ connection }));

    expect(message).toContain('backend.database.connection');
    expect(message).not.toContain('hunter2');
  });
});

describe('what is shown of a client', () => {
  it('is no token, with getters either', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, { pluginDivisionMode: 'schema' });
    const knex = await lakebase.getClient('catalog');

    for (const getters of [false, true]) {
      const shown = inspect(knex.client, {
        getters,
        depth: 12,
        showHidden: true,
      });
      expect(shown).not.toMatch(/eyJ[\w-]{10,}/);
    }
  });

  it('is no token in a connection that a transaction opens by itself', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, { pluginDivisionMode: 'schema' });
    const knex = await lakebase.getClient('catalog');

    await knex.transaction(async tx => {
      const insides = tx.client as Insides;
      const raw = await insides.acquireRawConnection();
      const shown = inspect(raw, {
        getters: true,
        depth: 12,
        showHidden: true,
      });
      await raw.end();
      expect(shown).not.toMatch(/eyJ[\w-]{10,}/);
    });
  });
});

import { ConfigReader } from '@backstage/config';
import type { JsonObject } from '@backstage/types';
import { inspect } from 'node:util';
import type { Knex } from 'knex';
import { cloneDeep, merge } from 'lodash';
import { readConfig } from '../../src/config/readConfig';
import { FakeClock, passTime } from '../../testbed/fakeClock';
import {
  killSessions,
  lakebaseConfig,
  lakebaseTests,
} from '../support/lakebase';
import { HOUR } from '../../testbed/durations';

const start = lakebaseTests();
const schemaMode = { pluginDivisionMode: 'schema' };

type Copy = (config: object) => object;

const COPIES: [string, Copy][] = [
  ['spreads', config => ({ ...config })],
  ['clones', config => cloneDeep(config)],
  ['merges', config => merge({}, config)],
  [
    'writes as JSON and reads',
    config => JSON.parse(JSON.stringify(config)) as object,
  ],
];

async function startOnFakeClock() {
  const emulator = await start.emulator();
  const clock = new FakeClock();
  const lakebase = start.lakebase(emulator, schemaMode, { clock });
  const knex = await lakebase.getClient('catalog');
  return { emulator, clock, knex };
}

const settingsOf = (knex: Knex) =>
  knex.client as { config: Knex.Config; connectionSettings: object };

describe.each(COPIES)(
  'a plugin %s the configuration of its client',
  (_, copy) => {
    it('the copy is complete, and no credential travels in it', async () => {
      const { emulator, knex } = await startOnFakeClock();
      const { config, connectionSettings } = settingsOf(knex);

      const copies = [config.connection as object, connectionSettings].map(
        copy,
      );

      const serialized = JSON.stringify(copies);
      expect(serialized).toBe(
        JSON.stringify([config.connection, connectionSettings]),
      );
      expect(serialized).not.toContain('password');
      expect(inspect(copies)).not.toMatch(/eyJ/);
      expect(emulator.gateway.logins).toHaveLength(1);
    });

    it('its client goes on, with the next credential too', async () => {
      const { emulator, clock, knex } = await startOnFakeClock();
      const { config, connectionSettings } = settingsOf(knex);

      Object.assign(config, copy(config));
      Object.assign(connectionSettings, copy(connectionSettings));
      const minted = emulator.controlPlane.once('credentials');
      await passTime(emulator, clock, HOUR);
      await minted;
      await killSessions(emulator, knex);
      await knex.transaction(tx => tx.raw('select 1'));

      const [first, second] = emulator.gateway.logins;
      expect(second.tokenId).not.toBe(first.tokenId);
      expect(emulator.gateway.refusals).toEqual([]);
    });
  },
);

describe('the app-config', () => {
  it.each(COPIES)('that another one %s leads to the same', async (_, copy) => {
    const emulator = await start.emulator();
    const data = lakebaseConfig(emulator, schemaMode);
    const given = cloneDeep(data);
    const use = (config: JsonObject) => {
      const [endpoint] = readConfig(new ConfigReader(config), {}).endpoints;
      const { readWorkspace, ...settings } = endpoint;
      return { ...settings, workspace: readWorkspace() };
    };

    const used = use(copy(data));

    expect(used).toEqual(use(given));
    expect(data).toEqual(given);
  });
});

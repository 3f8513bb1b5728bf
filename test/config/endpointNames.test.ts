import type { JsonObject } from '@backstage/types';
import type { Emulator } from '../../emulator';
import { killSessions, lakebaseTests } from '../support/lakebase';

const start = lakebaseTests();

const PROJECT = 'projects/backstage';
const PRODUCTION = `${PROJECT}/branches/production`;

/** Routes of look-ups, in the order in which they were called. */
const lookUps = ({ controlPlane }: Emulator) =>
  controlPlane.calls
    .map(({ route }) => route)
    .filter(route => route && !['token', 'credentials'].includes(route));

const withEndpoint = (endpoint: string) => ({
  pluginDivisionMode: 'schema',
  lakebase: { endpoint },
});

/** The endpoints that credentials were asked for. */
const mintedFor = ({ controlPlane }: Emulator) =>
  controlPlane.calls
    .filter(({ route }) => route === 'credentials')
    .map(({ body }) => (body as { endpoint?: string }).endpoint);

describe('an endpoint', () => {
  it.each([
    ['its project, by whose default branch it is found', PROJECT],
    ['its branch', PRODUCTION],
    ['its whole path', `${PRODUCTION}/endpoints/primary`],
  ])('may be named by %s', async (_, name) => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, withEndpoint(name));

    const knex = await lakebase.getClient('catalog');

    await expect(knex.raw('select 1')).resolves.toBeDefined();
    expect(mintedFor(emulator)).toEqual([emulator.endpoint]);
  });

  it('is the read-write one of its branch, on whichever page it comes', async () => {
    const emulator = await start.emulator();
    const { catalog } = emulator.controlPlane;
    catalog.pageSize = 1;
    catalog.removeEndpoint(`${PRODUCTION}/endpoints/primary`);
    catalog.addEndpoint(`${PRODUCTION}/endpoints/readers`, {
      type: 'READ_ONLY',
    });
    catalog.addEndpoint(`${PRODUCTION}/endpoints/writers`);
    const lakebase = start.lakebase(emulator, withEndpoint(PROJECT));

    await lakebase.getClient('catalog');

    expect(mintedFor(emulator)).toEqual([`${PRODUCTION}/endpoints/writers`]);
  });

  it.each([
    ['none', [], 'Create one'],
    ['two', ['primary', 'second'], 'Name one'],
  ])(
    'is not to be found where a branch has %s that can be written to',
    async (_, names, remedy) => {
      const emulator = await start.emulator();
      const { catalog } = emulator.controlPlane;
      catalog.removeEndpoint(`${PRODUCTION}/endpoints/primary`);
      for (const name of names) {
        catalog.addEndpoint(`${PRODUCTION}/endpoints/${name}`);
      }
      const lakebase = start.lakebase(emulator, withEndpoint(PRODUCTION));

      await expect(lakebase.getClient('catalog')).rejects.toMatchObject({
        code: 'endpoint-not-found',
        message: expect.stringMatching(
          `${remedy}.*backend.database.lakebase.endpoint`,
        ) as string,
      });
    },
  );

  it('is not looked up when host and user are given with its whole path', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, {
      connection: {
        host: emulator.gateway.host,
        user: emulator.servicePrincipal.clientId,
      },
    });

    await lakebase.getClient('catalog');
    await lakebase.announce();

    expect(lookUps(emulator)).toEqual([]);
  });
});

describe('an endpoint that has moved', () => {
  it('is followed to its new host', async () => {
    const emulator = await start.emulator();
    const { catalog } = emulator.controlPlane;
    catalog.changeEndpoint(emulator.endpoint, { host: 'ep-old.invalid' });
    const lakebase = start.lakebase(emulator);
    const client = lakebase.getClient('catalog');

    await emulator.controlPlane.once('endpoint');
    catalog.changeEndpoint(emulator.endpoint, { host: 'localhost' });

    const knex = await client;
    await expect(knex.raw('select 1')).resolves.toBeDefined();
  });

  it('is not looked up again and again by the pools that lost it', async () => {
    const emulator = await start.emulator();
    const { catalog } = emulator.controlPlane;
    catalog.changeEndpoint(emulator.endpoint, { host: 'ep-old.invalid' });
    const lakebase = start.lakebase(emulator);
    const clients = ['catalog', 'search', 'auth', 'scaffolder'].map(id =>
      lakebase.getClient(id),
    );

    await emulator.controlPlane.once('endpoint');
    catalog.changeEndpoint(emulator.endpoint, { host: 'localhost' });
    await Promise.all(clients);

    expect(emulator.controlPlane.count('endpoint')).toBe(2);
  });

  it('is named by its new host when connections fail there, too', async () => {
    const emulator = await start.emulator();
    const { controlPlane, endpoint, gateway } = emulator;
    const lakebase = start.lakebase(emulator, {
      lakebase: { connectTimeout: '1s' },
    });
    const knex = await lakebase.getClient('catalog');
    await killSessions(emulator, knex);
    await gateway.suspend({ wakeDelayMs: 60_000, while: 'refuse' });
    const { otherHost } = gateway;
    controlPlane.catalog.changeEndpoint(endpoint, { host: otherHost });

    await expect(knex.raw('select 1')).rejects.toMatchObject({
      code: 'connect-timeout',
      message: expect.stringMatching(
        `^No connection to ${otherHost}:.* caused by .*${otherHost}:\\d+ could not`,
      ) as string,
    });
  });

  it('is tried at the host known so far while the workspace cannot tell', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator);
    const knex = await lakebase.getClient('catalog');
    emulator.controlPlane.answer('endpoint', { status: 403 });
    emulator.controlPlane.answer('branch', { status: 503 });
    await killSessions(emulator, knex);
    await emulator.gateway.suspend({ wakeDelayMs: 500, while: 'refuse' });

    await expect(knex.raw('select 1')).resolves.toBeDefined();
  });
});

describe('a branch', () => {
  it('stays the one that it was at start, though the project has another default', async () => {
    const emulator = await start.emulator();
    const { catalog } = emulator.controlPlane;
    const lakebase = start.lakebase(emulator, withEndpoint(PROJECT));
    const knex = await lakebase.getClient('catalog');
    catalog.addBranch(`${PROJECT}/branches/restored`);
    catalog.setDefaultBranch(`${PROJECT}/branches/restored`);
    await killSessions(emulator, knex);
    await emulator.gateway.suspend({ wakeDelayMs: 60_000, while: 'refuse' });

    await expect(knex.raw('select 1')).rejects.toMatchObject({
      code: 'branch-changed',
      message: expect.stringMatching(
        /backend\.database\.lakebase\.endpoint.*restored.*Restart to follow/s,
      ) as string,
    });
  });

  it('stays the one that it was, though another one has its name', async () => {
    const emulator = await start.emulator();
    const { catalog } = emulator.controlPlane;
    const lakebase = start.lakebase(emulator);
    const knex = await lakebase.getClient('catalog');
    catalog.removeBranch(PRODUCTION);
    catalog.addBranch(PRODUCTION, { uid: 'br-another' });
    await killSessions(emulator, knex);
    await emulator.gateway.suspend({ wakeDelayMs: 60_000, while: 'refuse' });

    await expect(knex.raw('select 1')).rejects.toMatchObject({
      code: 'branch-changed',
      message: expect.stringContaining('br-another') as string,
    });
  });
});

describe('a name that is not there', () => {
  it.each<[string, JsonObject, string]>([
    [
      'a project as an instance',
      { endpoint: null, instance: 'backstage' },
      'set backend.database.lakebase.endpoint: projects/backstage instead',
    ],
    [
      'an instance as a project',
      { endpoint: 'projects/our-instance' },
      'set backend.database.lakebase.instance instead',
    ],
  ])('leads to the other kind: %s', async (_, lakebase, remedy) => {
    const emulator = await start.emulator();
    const { getClient } = start.lakebase(emulator, { lakebase });

    await expect(getClient('catalog')).rejects.toMatchObject({
      code: 'endpoint-not-found',
      message: expect.stringContaining(remedy) as string,
    });
  });
});

describe('a Provisioned instance', () => {
  it('is another way to name a database', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, {
      pluginDivisionMode: 'schema',
      lakebase: { endpoint: null, instance: emulator.instance },
    });

    const knex = await lakebase.getClient('catalog');

    await expect(knex.raw('select 1')).resolves.toBeDefined();
    expect(emulator.controlPlane.count('instanceCredentials')).toBe(1);
    expect(emulator.controlPlane.count('credentials')).toBe(0);
  });
});

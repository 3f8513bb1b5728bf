import { decodeJwt } from 'jose';
import { randomUUID } from 'node:crypto';
import type { Emulator } from '../../emulator';
import { startTestEmulator } from '../support/emulator';
import {
  closeClients,
  currentUser,
  fetchJson,
  get,
  logIn,
  workspaceToken,
} from './clients';

describe('the emulated Provisioned instance', () => {
  let emulator: Emulator;
  let token: string;

  beforeAll(async () => {
    emulator = await startTestEmulator();
    token = await workspaceToken(emulator);
  });
  afterEach(async () => {
    emulator.controlPlane.recover();
    emulator.controlPlane.credentialLifeMs = 3_600_000;
    await closeClients(emulator);
  });
  afterAll(() => emulator.stop());

  const instance = (name: string) =>
    get(emulator, `/api/2.0/database/instances/${name}`, token);

  const requestCredential = (change: object = {}, caller = token) =>
    fetchJson(`${emulator.controlPlane.url}/api/2.0/database/credentials`, {
      method: 'POST',
      headers: { authorization: `Bearer ${caller}` },
      body: JSON.stringify({
        instance_names: [emulator.instance],
        request_id: randomUUID(),
        ...change,
      }),
    });

  it('tells its hosts, its version and its state', async () => {
    const { status, body } = await instance(emulator.instance);

    expect(status).toBe(200);
    expect(body).toMatchObject({
      name: emulator.instance,
      uid: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      state: 'AVAILABLE',
      pg_version: expect.any(String) as string,
      read_write_dns: emulator.gateway.host,
      read_only_dns: emulator.gateway.host,
    });
  });

  it('takes the credential that is minted for it', async () => {
    const { status, body } = await requestCredential();
    const { read_write_dns: host } = (await instance(emulator.instance)).body;
    const client = await logIn(emulator, { host, password: body.token });

    expect(status).toBe(200);
    expect(Object.keys(body)).toEqual(['token', 'expiration_time']);
    expect(await currentUser(client)).toBe(emulator.servicePrincipal.clientId);
  });

  it('has credentials for an hour, or for less when capped', async () => {
    const lifeOf = async () => {
      const { body } = await requestCredential();
      const { iat, exp } = decodeJwt(body.token);
      const off = Date.parse(body.expiration_time) - exp! * 1000;
      expect(Math.abs(off)).toBeLessThan(1000);
      return exp! - iat!;
    };

    expect(await lifeOf()).toBe(3600);
    emulator.controlPlane.credentialLifeMs = 20_000;
    expect(await lifeOf()).toBe(20);
  });

  it.each([
    ['without a request id', { request_id: undefined }, 400, /request_id/],
    ['without names', { instance_names: undefined }, 400, /instance_names/],
    ['for no instance', { instance_names: [] }, 400, /instance_names/],
    ['for an unknown one', { instance_names: ['no'] }, 404, /'no' not found/],
  ])('has no credential %s', async (_, change, expected, message) => {
    const { status, body } = await requestCredential(change);

    expect(status).toBe(expected);
    expect(body.message).toMatch(message);
    expect(body.token).toBeUndefined();
  });

  it('is not found under another name', async () => {
    const { status, body } = await instance('no');

    expect(status).toBe(404);
    expect(body.error_code).toBe('NOT_FOUND');
  });

  it('is for identities of the workspace only', async () => {
    const path = `/api/2.0/database/instances/${emulator.instance}`;

    expect((await requestCredential({}, 'made-up')).status).toBe(401);
    expect((await get(emulator, path, 'made-up')).status).toBe(401);
  });

  it('is called by routes of its own', async () => {
    const { controlPlane } = emulator;
    controlPlane.answer('instance', { status: 403 });
    controlPlane.answer('instanceCredentials', { status: 503 });

    expect((await instance(emulator.instance)).status).toBe(403);
    expect((await requestCredential()).status).toBe(503);
  });
});

import type { TLSSocket } from 'node:tls';
import type { Knex } from 'knex';
import type { ConnectionTarget } from '../../src/connections/target';
import { explainConnectFault } from '../../src/connections/postgresFaults';
import { isLoopback } from '../../src/databricks/loopback';
import { LakebaseError } from '../../src/errors';
import { FakeClock } from '../../testbed/fakeClock';
import { everythingIn } from '../support/everythingIn';
import {
  authentication,
  errorResponse,
  type HostileGateway,
  message,
  startHostileGateway,
} from '../support/hostileGateway';
import { lakebaseTests } from '../support/lakebase';

// Whoever answers in place of the gateway, over TLS that is trusted.
const start = lakebaseTests();
const gateways: HostileGateway[] = [];

afterEach(async () => {
  for (const gateway of gateways.splice(0)) await gateway.stop();
});

async function meet(
  answer: (socket: TLSSocket, password: string) => void,
  options?: { asksForPassword: boolean },
) {
  const emulator = await start.emulator();
  const gateway = await startHostileGateway(answer, options);
  gateways.push(gateway);
  const clock = new FakeClock();
  clock.skipsPauses = true;
  const lakebase = start.lakebase(
    emulator,
    { pluginDivisionMode: 'schema', connection: { port: gateway.port } },
    { clock },
  );
  const error = await lakebase.getClient('catalog').then(
    () => undefined,
    (reason: unknown) => reason as Error,
  );
  return { error: error!, lakebase, gateway };
}

const first = { asksForPassword: false };

/** The error below the plugin's. */
const causeOf = (error: Error) => error.cause as LakebaseError;

describe('a server that does not keep to the protocol while it logs in', () => {
  it.each<[string, Buffer]>([
    ['asks for GSSAPI', authentication(7)],
    ['asks for SSPI', authentication(9)],
    ['asks for what nobody knows', authentication(99)],
    ['asks for nothing at all', message('R', '')],
    ['names SASL mechanisms without an end', authentication(10, 'SCRAM')],
    ['sends an error without an end', message('E', 'SFATAL\0Mno end')],
    ['sends an empty error', message('E', '')],
    ['sends a notice without an end', message('N', 'SNOTICE\0Mno end')],
    ['sends a parameter without a value', message('S', 'server_version\0')],
    ['sends rows', message('D', '\0\0')],
    ['sends what nobody knows', message('~', 'what')],
    ['sends more than anybody says', message('S', Buffer.alloc(70_000))],
    ['announces a gigabyte', Buffer.from('S\x3f\xff\xff\xff', 'latin1')],
    ['sends a message shorter than itself', Buffer.from('S\0\0\0\0')],
  ])('is left for good when it %s', async (_, bytes) => {
    const { error } = await meet(socket => socket.write(bytes), first);

    expect(causeOf(error)).toMatchObject({ code: 'database-refused' });
  });

  it('is left for good however the bytes come', async () => {
    const bytes = [...authentication(7)].map(byte => Buffer.from([byte]));

    const { error } = await meet(socket => {
      for (const byte of bytes) socket.write(byte);
    }, first);

    expect(causeOf(error)).toMatchObject({ code: 'database-refused' });
  });
});

describe('a server that repeats what it was sent', () => {
  it.each<[string, (token: string) => string]>([
    ['whole', token => `Failed to decode token ${token}`],
    ['in parts', token => `Bad signature ${token.split('.')[2]}`],
  ])('has the token in no log and no error: %s', async (_, text) => {
    const { error, lakebase, gateway } = await meet((socket, password) =>
      socket.end(errorResponse('28P01', text(password))),
    );

    const shown = everythingIn(error) + JSON.stringify(lakebase.lines);
    expect(gateway.passwords.length).toBeGreaterThan(0);
    for (const part of gateway.passwords.flatMap(it => [it, ...it.split('.')]))
      expect(shown).not.toContain(part);
  });
});

describe('a text of the server', () => {
  it('speaks to no terminal and forges no line', async () => {
    const { error, lakebase } = await meet(socket =>
      socket.end(errorResponse('XX000', 'gone\n\x1b[2Kok  Fit to start')),
    );

    const { message: text, cause } = causeOf(error);
    const shown = [
      text,
      (cause as Error).message,
      ...lakebase.lines.map(line => line.message),
    ];
    expect(shown.join('\n')).toContain('gone\\u{a}\\u{1b}[2Kok');
    expect(shown.join('\n')).not.toContain('\x1b');
    expect(shown.join('\n')).not.toMatch(/^ok/m);
  });

  it.each(['role "', "role '", 'permission denied for table a.'])(
    'keeps nobody busy, however long: %s',
    text => {
      const target = { host: 'h', port: 1, user: 'u', database: 'd' };
      const error = Object.assign(new Error(text.repeat(500_000)), {
        code: '42501',
      });

      expect(
        explainConnectFault(error, target as ConnectionTarget),
      ).toBeInstanceOf(LakebaseError);
    },
  );
});

describe('the name of the server', () => {
  afterEach(() => delete process.env.PGHOST);

  it('comes from no variable where servername is empty', async () => {
    process.env.PGHOST = 'elsewhere.example.com';
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, {
      pluginDivisionMode: 'schema',
      connection: { ssl: { servername: '' } },
    });

    await lakebase.getClient('catalog');

    expect(new Set(emulator.gateway.serverNames)).toEqual(
      new Set(['localhost']),
    );
  });

  it.each([
    ['localhost', true],
    ['127.1.2.3', true],
    ['[::1]', true],
    ['evil.localhost', false],
    ['localhost.example.com', false],
    ['128.0.0.1', false],
  ])('%s stays on this machine: %s', (host, stays) => {
    expect(isLoopback(host)).toBe(stays);
  });

  it('is compared by us, whatever pg tells Node', async () => {
    const emulator = await start.emulator();
    const lakebase = start.lakebase(emulator, {
      pluginDivisionMode: 'schema',
      connection: {
        host: '127.0.0.1',
        ssl: { servername: 'ep-1.database.emulator.test' },
      },
    });
    const knex: Knex = await lakebase.getClient('catalog');
    const { connectionSettings } = knex.client as {
      connectionSettings: {
        ssl: { checkServerIdentity(host: string, peer: object): unknown };
      };
    };

    // What pg before 8.23 has Node compare behind an address.
    const elsewhere = {
      subject: { CN: 'localhost' },
      subjectaltname: 'DNS:localhost',
    };
    expect(
      connectionSettings.ssl.checkServerIdentity('localhost', elsewhere),
    ).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  });
});

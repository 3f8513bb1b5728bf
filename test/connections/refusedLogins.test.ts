import type { JsonObject } from '@backstage/types';
import { type Emulator, REFUSALS, RefusalKind } from '../../emulator';
import { FakeClock } from '../../testbed/fakeClock';
import {
  killSessions,
  lakebaseTests,
  queryInParallel,
} from '../support/lakebase';

const start = lakebaseTests();

/** Tries again without a pause, up to `connectTimeout` on its own clock. */
function startLakebase(emulator: Emulator, overrides: JsonObject) {
  const clock = new FakeClock();
  clock.skipsPauses = true;
  return start.lakebase(emulator, overrides, { clock });
}
const schemaMode = { pluginDivisionMode: 'schema' };

/** Every way that the platform is known to say this. */
const variantsOf = (kind: RefusalKind): [string, number][] =>
  REFUSALS[kind].map(({ code, message }, index) => [
    `${code} ${message('u', 'd').replace(/\d{6,}/, 'N')}`,
    index,
  ]);

describe.each<RefusalKind>(['expired', 'revoked'])('a credential %s', kind => {
  it.each(variantsOf(kind))(
    'is replaced by one mint, unnoticed: %s',
    async (_, variant) => {
      const emulator = await start.emulator();
      emulator.gateway.variant = { [kind]: variant, revoked: variant };
      const lakebase = startLakebase(emulator, schemaMode);
      const knex = await lakebase.getClient('catalog');

      emulator.gateway.revokeTokens();
      emulator.gateway.refuseNext(kind, { times: 1, variant });
      await killSessions(emulator, knex);
      await queryInParallel(knex, 4);

      expect(emulator.controlPlane.count('credentials')).toBe(2);
    },
  );
});

describe('a missing role', () => {
  it.each(variantsOf('missingRole'))(
    'fails after one login and one mint, with the SQL that cures it: %s',
    async (_, variant) => {
      const emulator = await start.emulator();
      const stranger = await emulator.addServicePrincipal({ role: false });
      emulator.gateway.variant = { missingRole: variant };
      const lakebase = startLakebase(emulator, {
        ...schemaMode,
        lakebase: { workspace: { ...stranger } },
      });

      const failure = lakebase.getClient('catalog');

      await expect(failure).rejects.toMatchObject({ code: 'role-missing' });
      await expect(failure).rejects.toThrow(
        `SELECT databricks_create_role('${stranger.clientId}', 'SERVICE_PRINCIPAL');`,
      );
      expect(emulator.gateway.refusals).toHaveLength(1);
      expect(emulator.controlPlane.count('credentials')).toBe(1);
    },
  );
});

describe('a user that is not the identity', () => {
  it.each(variantsOf('wrongIdentity'))(
    'fails after two logins and no further mint, naming the key: %s',
    async (_, variant) => {
      const emulator = await start.emulator();
      await emulator.createRole('somebody_else');
      emulator.gateway.variant = { wrongIdentity: variant };
      const lakebase = startLakebase(emulator, {
        ...schemaMode,
        connection: { user: 'somebody_else' },
      });

      const failure = lakebase.getClient('catalog');

      await expect(failure).rejects.toMatchObject({ code: 'login-refused' });
      await expect(failure).rejects.toThrow(
        /backend\.database\.connection\.user/,
      );
      expect(emulator.gateway.refusals).toHaveLength(2);
      expect(emulator.controlPlane.count('credentials')).toBe(1);
    },
  );
});

describe.each<RefusalKind>(['notYetValid', 'keyUnknown'])(
  'a gateway that does not know the credential yet (%s)',
  kind => {
    it.each(variantsOf(kind))(
      'is asked once more, with the same credential: %s',
      async (_, variant) => {
        const emulator = await start.emulator();
        emulator.gateway.refuseNext(kind, { times: 1, variant });
        const lakebase = startLakebase(emulator, schemaMode);

        const knex = await lakebase.getClient('catalog');

        await expect(knex.raw('select 1')).resolves.toBeDefined();
        expect(emulator.controlPlane.count('credentials')).toBe(1);
      },
    );
  },
);

describe.each<RefusalKind>([
  'externalAuthorization',
  'startingUp',
  'shuttingDown',
  'tooManyConnections',
  'handshakeTimeout',
  'computeUnreachable',
])('an endpoint that turns logins away for a while (%s)', kind => {
  it.each(variantsOf(kind))(
    'is tried again with the same credential: %s',
    async (_, variant) => {
      const emulator = await start.emulator();
      emulator.gateway.refuseNext(kind, { times: 3, variant });
      const lakebase = startLakebase(emulator, schemaMode);

      const knex = await lakebase.getClient('catalog');

      await expect(knex.raw('select 1')).resolves.toBeDefined();
      expect(emulator.gateway.refusals).toHaveLength(3);
      expect(emulator.controlPlane.count('credentials')).toBe(1);
    },
  );

  it.each(variantsOf(kind))(
    'fails at connectTimeout with its words as the cause: %s',
    async (_, variant) => {
      const emulator = await start.emulator();
      emulator.gateway.refuseNext(kind, { times: Infinity, variant });
      const lakebase = startLakebase(emulator, {
        ...schemaMode,
        lakebase: { connectTimeout: { seconds: 1 } },
      });

      const failure = lakebase.getClient('catalog');

      await expect(failure).rejects.toMatchObject({ code: 'connect-timeout' });
      await expect(failure).rejects.toThrow(
        REFUSALS[kind][variant].message('u', 'd'),
      );
    },
  );
});

describe.each<RefusalKind>(['plaintext', 'noSni'])(
  'a gateway that wants TLS and a server name (%s)',
  kind => {
    it.each(variantsOf(kind))(
      'fails after one login, with the key that cures it: %s',
      async (_, variant) => {
        const emulator = await start.emulator();
        emulator.gateway.refuseNext(kind, { times: Infinity, variant });
        const lakebase = startLakebase(emulator, schemaMode);

        const failure = lakebase.getClient('catalog');

        await expect(failure).rejects.toMatchObject({
          code: 'database-untrusted',
        });
        await expect(failure).rejects.toThrow(/connection\.ssl\.servername/);
        expect(emulator.gateway.refusals).toHaveLength(1);
      },
    );
  },
);

describe('a waking endpoint', () => {
  it.each(['hold', 'startingUp', 'refuse'] as const)(
    'is waited for (%s)',
    async manner => {
      const emulator = await start.emulator();
      const lakebase = startLakebase(emulator, schemaMode);
      const knex = await lakebase.getClient('catalog');

      // Of real time, in which this clock goes through a minute of pauses.
      await emulator.gateway.suspend({ wakeDelayMs: 5, while: manner });

      await knex.raw('select 1');
      expect(emulator.controlPlane.count('credentials')).toBe(1);
    },
  );
});

import { temporaryFiles } from '../support/appConfig';
import { children } from '../support/children';
import { lakebaseConfig, lakebaseTests } from '../support/lakebase';

// Its processes end before their emulators do.
const startChild = children();
const start = lakebaseTests();
const files = temporaryFiles();

describe('every debug switch of Knex and of Node is on', () => {
  it('no token and no secret is in the output', async () => {
    const emulator = await start.emulator();
    const config = lakebaseConfig(emulator, { pluginDivisionMode: 'schema' });
    const child = startChild('shiftedProcess.ts', {
      args: [JSON.stringify(config)],
      env: {
        CLOCK_OFFSET_FILE: files.file('clock-offset', '0'),
        DEBUG: '*',
        NODE_DEBUG: 'undici,fetch,http,https,net,tls',
      },
    });

    await child.ask('query', 'catalog', `select 'said aloud'`);
    emulator.gateway.revokeTokens();
    await emulator.gateway.dropConnections();
    await child.ask('noticeLoss', 'catalog');
    await child.ask('query', 'catalog', 'select 1');
    await child.kill();

    expect(child.output).toContain('knex:');
    expect(child.output).toContain('said aloud');
    expect(child.output).toMatch(/UNDICI|FETCH/);
    expect(child.output).not.toMatch(/eyJ[\w-]{10,}/);
    expect(child.output).not.toContain(emulator.servicePrincipal.clientSecret);
  });
});

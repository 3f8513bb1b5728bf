import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { findInstalledMigrations } from '../../src/migrations/installedMigrations';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'backstage-lakebase-test-'));
});

afterEach(() => rm(root, { recursive: true }));

const UP = 'exports.up = async () => {};';

async function write(path: string, text: string): Promise<void> {
  const file = join(root, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

const manifest = (folder: string, content: object) =>
  write(join(folder, 'package.json'), JSON.stringify(content));

describe('findInstalledMigrations', () => {
  it('finds what a backend depends on, directly or not, in a workspace and with links', async () => {
    await manifest('packages/backend', {
      name: 'backend',
      dependencies: { direct: '*', linked: '*' },
    });
    await manifest('node_modules/direct', {
      name: 'direct',
      version: '1.0.0',
      dependencies: { indirect: '*' },
    });
    await manifest('node_modules/indirect', {
      name: 'indirect',
      version: '2.0.0',
      backstage: { role: 'backend-plugin', pluginId: 'books' },
      repository: {
        url: 'git+https://github.com/company/plugins.git',
        directory: 'plugins/books',
      },
    });
    await write('node_modules/indirect/migrations/2_b.js', UP);
    await write('node_modules/indirect/migrations/1_a.cjs', UP);
    await write('node_modules/indirect/migrations/1_a.d.ts', UP);
    await write('node_modules/indirect/migrations/README.md', 'up');
    await manifest('plugins/linked', { name: 'linked', version: '0.0.1' });
    await write('plugins/linked/src/database/migrations/1_c.js', UP);
    await write('plugins/linked/dist/migrations/tool.js', 'nothing');
    await symlink(
      join(root, 'plugins/linked'),
      join(root, 'node_modules/linked'),
    );

    const found = await findInstalledMigrations(join(root, 'packages/backend'));

    expect(found).toEqual([
      expect.objectContaining({
        package: 'linked',
        files: ['1_c.js'],
        pluginId: undefined,
      }),
      {
        package: 'indirect',
        version: '2.0.0',
        directory: join(root, 'node_modules/indirect/migrations'),
        files: ['1_a.cjs', '2_b.js'],
        pluginId: 'books',
        notes:
          'https://github.com/company/plugins/blob/HEAD/plugins/books/CHANGELOG.md',
      },
    ]);
  });

  it('takes the copy of a package that is nearest to the backend', async () => {
    await manifest('.', {
      name: 'backend',
      dependencies: { other: '*', core: '*' },
    });
    const core = {
      name: 'core',
      version: '1.0.0',
      backstage: { role: 'node-library' },
    };
    await manifest('node_modules/core', core);
    await write('node_modules/core/migrations/auth/1_keys.js', UP);
    await manifest('node_modules/other', {
      name: 'other',
      dependencies: { core: '*' },
    });
    await manifest('node_modules/other/node_modules/core', {
      ...core,
      version: '0.9.0',
    });
    await write(
      'node_modules/other/node_modules/core/migrations/auth/1_keys.js',
      UP,
    );

    const found = await findInstalledMigrations(root);

    expect(found.map(({ version, directory }) => [version, directory])).toEqual(
      [['1.0.0', join(root, 'node_modules/core/migrations/auth')]],
    );
  });

  it('says where to run it', async () => {
    await expect(findInstalledMigrations(root)).rejects.toThrow(
      /no package\.json .*Run this in the folder of the backend's package/s,
    );
  });
});

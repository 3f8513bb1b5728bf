import { readdirSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unset } from 'lodash';
import { run } from '../../testbed/run';
import { packageNames } from './lockFile';

/** An app as Backstage's own template makes it. */
export class App {
  readonly folder: string;
  readonly #signal: AbortSignal;

  constructor(folder: string, signal: AbortSignal) {
    this.folder = folder;
    this.#signal = signal;
  }

  /** @returns what it said. @throws unless it succeeds. */
  async yarn(...args: string[]): Promise<string> {
    const { passed, output } = await this.tryYarn(...args);
    if (!passed) throw new Error(`yarn ${args.join(' ')} failed:\n${output}`);
    return output;
  }

  tryYarn(...args: string[]) {
    return run(
      process.execPath,
      [this.#release, ...args],
      this.folder,
      this.#signal,
    );
  }

  read(path: string): Promise<string> {
    return readFile(join(this.folder, path), 'utf8');
  }

  write(path: string, text: string): Promise<void> {
    return writeFile(join(this.folder, path), text);
  }

  /** The Yarn that comes with the template. */
  get #release(): string {
    const releases = join(this.folder, '.yarn', 'releases');
    return join(releases, readdirSync(releases)[0]);
  }
}

/**
 * Creates an app, without building addons: those are for SQLite and for
 * templates with code of their own.
 */
export async function createApp(
  { createApp: version, backendOnly, lockedOn, newest }: Template,
  folder: string,
  signal: AbortSignal,
): Promise<App> {
  const { passed, output } = await run(
    'npx',
    [
      '-y',
      ...['-p', '@yarnpkg/cli-dist', '-p', `@backstage/create-app@${version}`],
      ...['-c', `backstage-create-app --skip-install --path '${folder}'`],
    ],
    join(folder, '..'),
    signal,
    { BACKSTAGE_APP_NAME: 'portal' },
  );
  if (!passed) throw new Error(`create-app failed:\n${output}`);
  const app = new App(folder, signal);
  if (backendOnly) await leaveOutFrontend(app);
  await app.yarn('install', '--mode=update-lockfile');
  if (lockedOn) await lockAsOf(app, lockedOn);
  if (newest) await app.yarn('up', '@backstage/*', '--mode=update-lockfile');
  return app;
}

export interface Template {
  /** The release of Backstage. */
  release: string;
  createApp: string;
  /** The day on which the app was locked, rather than today. */
  lockedOn?: string;
  /** Without the frontend, of which registries that mirror may lack parts. */
  backendOnly?: boolean;
  /** Moved on to the newest release. */
  newest?: boolean;
}

async function leaveOutFrontend(app: App): Promise<void> {
  const file = 'packages/backend/package.json';
  const manifest = JSON.parse(await app.read(file)) as object;
  unset(manifest, ['dependencies', 'app']);
  await app.write(file, JSON.stringify(manifest));
  await rm(join(app.folder, 'packages', 'app'), { recursive: true });
}

/** Locks the app once more, with no package of Backstage that is newer. */
async function lockAsOf(app: App, day: string): Promise<void> {
  const [lockFile, settings] = [
    await app.read('yarn.lock'),
    await app.read('.yarnrc.yml'),
  ];
  const ageInDays = Math.floor((Date.now() - Date.parse(day)) / 86_400_000);
  const ofOthers = packageNames(lockFile).filter(
    name => !name.startsWith('@backstage/'),
  );
  const withoutGate = settings.replace(/^npm(.|\n)*?(?=^\w)/gm, '');
  await app.write(
    '.yarnrc.yml',
    `${withoutGate}\nnpmMinimalAgeGate: ${ageInDays}d\n` +
      `npmPreapprovedPackages: ${JSON.stringify(ofOthers)}\n`,
  );
  await app.write('yarn.lock', '');
  await app.yarn('install', '--mode=update-lockfile');
  await app.write('.yarnrc.yml', settings);
}

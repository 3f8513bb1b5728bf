import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ScrubbedTable } from '../../src/branches/scrub';
import { commandLine } from '../../testbed/commandLine';
import { expect } from './check';
import type { Installation } from './installation';

/** A copy of an installation's branch, as the command tells of it. */
export interface Copy {
  name: string;
  endpoint: string;
  scrubbed: ScrubbedTable[];
  steps: { step: string; ms: number }[];
}

/** What plugins leave behind when they are used, and no copy may have. */
const LEFT_BEHIND: [plugin: string, table: string][] = [
  ['auth', 'signing_keys'],
  ['auth', 'user_info'],
  ['catalog', 'backstage_backend_public_keys__keys'],
  ['events', 'event_bus_events'],
  ['events', 'event_bus_subscriptions'],
  ['notifications', 'notification'],
  ['user-settings', 'user_settings'],
];

/** Makes a copy with the command, as anybody would. */
export async function makeCopy(installation: Installation): Promise<Copy> {
  const folder = await mkdtemp(join(tmpdir(), 'lakebase-copy-'));
  try {
    const config = join(folder, 'app-config.yaml');
    const database = installation.ours('backstage-lakebase');
    await writeFile(config, JSON.stringify({ backend: { database } }));
    const { exitCode, stdout, stderr } = await commandLine([
      ...['branch', 'create', '--pr', '1', '--json', '--config', config],
      ...['--out', join(folder, 'app-config.branch.yaml')],
    ]);
    expect(exitCode === 0, `a copy, but: ${stderr}`);
    return JSON.parse(stdout) as Copy;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** @throws unless there was something to scrub, and nothing of it is left. */
export async function checkScrubbed(
  { scrubbed }: Copy,
  onCopy: Installation,
): Promise<void> {
  for (const [plugin, table] of LEFT_BEHIND) {
    const found = scrubbed.find(
      it => it.plugin === plugin && it.table === table,
    );
    expect(
      found !== undefined && found.rows > 0,
      `rows of ${plugin} in ${table} to be scrubbed`,
    );
    const left = await onCopy.count(plugin, table);
    expect(left === 0, `no row of ${plugin} in ${table} on the copy`);
  }
  const open = await onCopy.count(
    'scaffolder',
    'tasks',
    `status IN ('open', 'processing') OR secrets IS NOT NULL`,
  );
  expect(open === 0, 'no open task and no secret on the copy');
}

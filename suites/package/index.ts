import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onDeadline, onInterruption } from '../../testbed/signals';
import { thenStop } from '../../testbed/waiting';
import { pack } from '../../testbed/pack';
import { run } from '../../testbed/run';
import { ROOT } from '../versions/locked';
import { CONSUMERS, SOURCE } from './consumers';
import { checkInstalled } from './installed';
import { brokenLinks } from './links';

const DEADLINE_MS = 5 * 60_000;

/** In the project, so that what an app has is found in its node_modules. */
const WORK = join(ROOT, 'reports', 'package');

const NAME = 'backstage-backend-module-lakebase';

/** Packs the package as it is published, and looks at it as its users do. */
async function main(): Promise<void> {
  const signal = AbortSignal.any([onInterruption(), onDeadline(DEADLINE_MS)]);
  const installed = join(WORK, 'node_modules', NAME);
  const all = async () => {
    await rm(WORK, { recursive: true, force: true });
    await mkdir(installed, { recursive: true });
    const tarball = await pack(WORK, signal);
    await must('tar', [
      ...['-xzf', tarball, '--strip-components', '1', '-C', installed],
    ]);
    await must(tool('publint'), ['run', installed, '--strict']);
    await must(tool('attw'), [tarball, '--profile', 'node16']);
    report('The README', await brokenLinks(installed));
    await must(tool('api-extractor'), ['run']);
    say('The public API is that of report.api.md');
    for (const consumer of CONSUMERS) {
      const folder = join(WORK, consumer.name);
      await mkdir(folder);
      await writeFile(join(folder, `index.${consumer.extension}`), SOURCE);
      await writeFile(
        join(folder, 'tsconfig.json'),
        JSON.stringify({
          compilerOptions: consumer.compilerOptions,
          include: ['.'],
        }),
      );
      await must(tool('tsc'), ['-p', folder]);
      say(`It compiles with the settings of ${consumer.name}`);
    }
    report('What is installed', await checkInstalled(installed, WORK, signal));
  };
  const must = async (program: string, args: string[]): Promise<string> => {
    const { passed, output } = await run(program, args, ROOT, signal);
    if (passed) return output;
    throw new Error(`${program} ${args.join(' ')} failed:\n${output}`);
  };
  await thenStop(all, () => rm(WORK, { recursive: true, force: true }));
}

/** Of those that this project has installed. */
const tool = (name: string) => join(ROOT, 'node_modules', '.bin', name);

function report(what: string, complaints: string[]): void {
  if (complaints.length > 0)
    throw new Error(`${what}:\n${complaints.join('\n')}`);
  say(`${what} is as it must be`);
}

function say(text: string): void {
  console.log(`[package] ${text}`);
}

void main();

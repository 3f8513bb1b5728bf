import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../testbed/run';
import { poll } from '../../testbed/waiting';

/** @returns what is wrong with it, and with who loads it. */
export async function checkInstalled(
  installed: string,
  folder: string,
  signal: AbortSignal,
): Promise<string[]> {
  const cli = join(installed, 'dist', 'cli', 'index.js');
  const config = join(folder, 'app-config.emulator.yaml');
  const child = spawn(process.execPath, [cli, 'emulator', '--out', config], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
    signal,
  });
  const ended = once(child, 'exit') as Promise<[number]>;
  await poll(
    'the emulator to be ready',
    () => Promise.resolve(existsSync(config) ? undefined : 'no file yet'),
    signal,
  );
  const doctor = await run(
    process.execPath,
    [cli, 'doctor', '--config', config],
    folder,
    signal,
  );
  child.kill('SIGINT');
  const [exitCode] = await ended;
  const backend = await run(
    process.execPath,
    [
      '--eval',
      `require(${JSON.stringify(installed)});
       const loaded = Object.keys(require.cache);
       const notices = ${JSON.stringify(join(installed, 'dist', 'startupNotices', 'bypassingPlugins.js'))};
       console.log(require(notices).warnOfBypassingPlugins(loaded) ?? '');
       console.log(loaded.filter(it => /dist.(emulator|cli)./.test(it)).join());`,
    ],
    folder,
    signal,
  );
  return [
    ...(doctor.passed ? [] : [`the doctor says:\n${doctor.output}`]),
    ...(exitCode === 0 ? [] : [`Ctrl-C ends it with ${exitCode}`]),
    ...(existsSync(config) ? [`${config} is left behind`] : []),
    // Warned of itself, or loaded what only the command is to load.
    ...(backend.output.trim() === '' ? [] : [`a backend: ${backend.output}`]),
  ];
}

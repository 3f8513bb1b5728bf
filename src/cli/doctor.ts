import { CONFIGURATION, diagnose } from './doctor/diagnose';
import type { Result } from './doctor/check';
import { render, summarize } from './doctor/render';
import { showControls } from '../texts';
import { EXIT } from './exitCodes';
import type { Terminal } from './terminal';

export interface DoctorOptions {
  config?: string[];
  json: boolean;
  replicas: number;
  plugins?: number;
}

/** Tells what stands between a backend and its database. */
export async function doctor(
  options: DoctorOptions,
  terminal: Terminal,
): Promise<number> {
  const results: Result[] = [];
  const findings = diagnose({
    configFiles: options.config ?? [],
    env: terminal.env,
    clock: terminal.clock,
    replicas: options.replicas,
    otherPlugins: options.plugins,
    progress: line => {
      if (terminal.interactive) terminal.error(line);
    },
  });
  for await (const result of findings) {
    const before = results.at(-1)?.endpoint;
    results.push(result);
    // One line says enough of a configuration that cannot be read.
    const first = results[0];
    const unreadable = first.check === CONFIGURATION && first.status === 'fail';
    if (options.json || (unreadable && result !== first)) continue;
    if (result.endpoint && result.endpoint !== before) {
      terminal.out(`\n${showControls(result.endpoint)}`);
    }
    terminal.out(render(result, terminal.colored));
  }
  terminal.out(
    options.json
      ? JSON.stringify({ version: 1, results }, undefined, 2)
      : `\n${summarize(results)}`,
  );
  const failed = results.find(({ status }) => status === 'fail');
  if (!failed) return EXIT.ok;
  return failed.check === CONFIGURATION ? EXIT.usage : EXIT.finding;
}

import {
  startEmulator,
  type Emulator,
  type EmulatorOptions,
} from '../../emulator';
import { postgresOfWorker } from '../../testbed/postgresOfWorker';

/** An emulator on the Postgres of this worker. */
export async function startTestEmulator(
  options: Partial<EmulatorOptions> = {},
): Promise<Emulator> {
  return startEmulator({ postgres: postgresOfWorker(), ...options });
}

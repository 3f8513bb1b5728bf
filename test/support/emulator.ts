import {
  postgresFromEnvironment,
  startEmulator,
  type Emulator,
  type EmulatorOptions,
} from '../../emulator';

/** An emulator on the server that globalSetup chose. */
export async function startTestEmulator(
  options: Partial<EmulatorOptions> = {},
): Promise<Emulator> {
  return startEmulator({ postgres: postgresFromEnvironment()!, ...options });
}

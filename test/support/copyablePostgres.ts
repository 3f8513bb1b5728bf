import {
  type EmulatorOptions,
  type PostgresServer,
  startPostgresProcess,
} from '../../emulator';
import { postgresOfWorker } from '../../testbed/postgresOfWorker';

/**
 * For emulators that make branches, whose data is copied: this worker's server,
 * or another one where that is on another machine.
 *
 * @returns what an emulator is to be started with, once the tests run.
 */
export function copyablePostgres(): () => Partial<EmulatorOptions> {
  let own: PostgresServer | undefined;
  beforeAll(async () => {
    if (!postgresOfWorker().data) own = await startPostgresProcess();
  });
  afterAll(() => own?.stop());
  return () => (own ? { postgres: own } : {});
}

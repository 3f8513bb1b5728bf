import type { PostgresServer } from '../../emulator';
import { thenStop } from '../../testbed/waiting';
import type { Contender } from './comparison';
import { CountingRelay, type Exchange } from './countingRelay';
import { Installation } from './installation';
import { Replica } from './replica';

/** What clients waited for until the backend was ready. */
export interface Trips {
  logins: number;
  statements: number;
  /** Statements of each, by the `application_name` of its connections. */
  plugins: Record<string, number>;
}

export interface Start extends Trips {
  ms: number;
}

/** Starts on an empty database, and once more on what that start left. */
export interface Starts {
  empty: Start;
  existing: Start;
}

export interface Bench {
  postgres: PostgresServer;
  signal: AbortSignal;
}

/** @param latencyMs - of each round trip to the server, on top. */
export async function startTwice(
  contender: Contender,
  { postgres, signal }: Bench,
  latencyMs = 0,
): Promise<Starts> {
  const relay = await CountingRelay.start(postgres, latencyMs);
  const withRelay = async () => {
    const installation = await Installation.open(relay.server);
    const start = () => startOnce(contender, installation, relay, signal);
    const both = async () => ({
      empty: await start(),
      existing: await start(),
    });
    return thenStop(both, () => installation.stop());
  };
  return thenStop(withRelay, () => relay.stop());
}

async function startOnce(
  contender: Contender,
  installation: Installation,
  relay: CountingRelay,
  signal: AbortSignal,
): Promise<Start> {
  const replica = await Replica.load({
    ...installation.settings(contender),
    signal,
  });
  const { clientId } = installation.emulator.servicePrincipal;
  const measured = async () => {
    relay.exchanges.length = 0;
    const ms = await replica.start();
    const own = relay.exchanges.filter(({ user }) => user === clientId);
    return { ms, ...tripsOf(own) };
  };
  return thenStop(measured, () => replica.stop());
}

function tripsOf(exchanges: Exchange[]): Trips {
  const statements = exchanges.filter(({ sql }) => sql !== undefined);
  const plugins: Record<string, number> = {};
  for (const { application } of statements) {
    const plugin = application.replace('backstage_plugin_', '') || 'admin';
    plugins[plugin] = (plugins[plugin] ?? 0) + 1;
  }
  return {
    logins: exchanges.length - statements.length,
    statements: statements.length,
    plugins,
  };
}

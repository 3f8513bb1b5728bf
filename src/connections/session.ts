import { type Client, type DatabaseError, escapeIdentifier } from 'pg';
import { TLS_FAULT } from '../errors';
import type { Clock } from '../time/clock';
import { whileListening } from '../time/whileListening';
import { getWire, onceSecured } from './pgWire';
import { type Place, TriedEndpoints, type Try } from './triedEndpoints';

/** What each connection of a pool has set before a query gets it. */
export interface Session {
  searchPath?: string | readonly string[];
  role?: string;
}

/** Of a login: a compute that wakes up may take as long, a gateway hardly. */
const SILENCE_MS = 5_000;

/** Needs neither an escape nor a space, which a gateway may understand otherwise. */
const PLAIN = /^[\w$.@"-]+$/;

const SQLSTATE = /^[0-9A-Z]{5}$/;

/** Protocol violations, what is not supported, values and rights. */
const ABOUT_OPTIONS = /^(08P01|0A|22|42)/;

/** Protocol violations that are about something else. */
const ABOUT_ELSE = /protocol version|SASL/i;

/** Runs all that a new connection needs in one round trip. */
export async function runAtOnce(
  connection: Client,
  statements: string[],
): Promise<void> {
  if (statements.length > 0) await connection.query(statements.join('; '));
}

export const assumeRole = (role: string | undefined): string[] =>
  role === undefined ? [] : [`SET ROLE ${escapeIdentifier(role)}`];

/**
 * Sets search path and role together with the login, by the startup packet's
 * `options`, which saves a round trip or two. Which endpoints take them is
 * found out by trying, and whether they hold is seen before they are relied on.
 */
export class SessionOptions {
  readonly #clock: Clock;
  readonly #endpoints: TriedEndpoints;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#endpoints = new TriedEndpoints(clock);
  }

  /** For one pool; undefined where there is nothing to set, or nothing plain. */
  of(session: Session): PoolOptions | undefined {
    const settings = toSettings(session);
    const entries: [string, string][] = Object.entries({ ...settings });
    if (!settings || entries.length === 0) return undefined;
    if (!entries.every(([, value]) => PLAIN.test(value))) return undefined;
    const options = entries.map(([name, value]) => `-c ${name}=${value}`);
    return new PoolOptions(
      options.join(' '),
      settings,
      this.#clock,
      this.#endpoints,
    );
  }
}

interface Settings {
  search_path?: string;
  role?: string;
}

/**
 * Knex has its own view of what is no name. Of several names the server would
 * read out later what it was sent, and not what it makes of SET.
 */
function toSettings({ searchPath, role }: Session): Settings | undefined {
  const names = [searchPath ?? []].flat() as unknown[];
  if (names.length > 1 || !names.every(isName)) return undefined;
  return {
    ...(names.length > 0 && { search_path: quoted(names[0]) }),
    ...(role !== undefined && { role }),
  };
}

const isName = (name: unknown): name is string =>
  typeof name === 'string' && !name.includes(',');

/** As the server writes it. */
const quoted = (name: string) =>
  /^[a-z_][a-z0-9_]*$/.test(name) ? name : escapeIdentifier(name);

/** What the connections of one pool log in with. */
export class PoolOptions {
  readonly options: string;
  readonly settings: Settings;
  readonly #clock: Clock;
  readonly #endpoints: TriedEndpoints;
  /** Whether the server was asked, and they held. */
  #asked = false;

  constructor(
    options: string,
    settings: Settings,
    clock: Clock,
    endpoints: TriedEndpoints,
  ) {
    this.options = options;
    this.settings = settings;
    this.#clock = clock;
    this.#endpoints = endpoints;
  }

  /** Undefined for a connection that is set up by statements. */
  begin(place: Place): OptionsTrial | undefined {
    const attempt = this.#endpoints.begin(place);
    return attempt && new OptionsTrial(this, this.#clock, attempt);
  }

  /** Once per pool is enough: they are all made alike. */
  async ask(connection: Client): Promise<boolean> {
    if (this.#asked) return true;
    const { rows } = await connection.query<Required<Settings>>(
      `SELECT pg_catalog.current_setting('search_path') AS search_path,
              pg_catalog.current_setting('role') AS role`,
    );
    const { search_path, role } = this.settings;
    this.#asked =
      (search_path === undefined || rows[0].search_path === search_path) &&
      (role === undefined || rows[0].role === role);
    return this.#asked;
  }
}

/** One connection that logs in with them. */
export class OptionsTrial {
  readonly options: string;
  readonly #pool: PoolOptions;
  readonly #clock: Clock;
  readonly #try: Try;
  #sent = false;
  #settled = false;
  /** Postgres 18 tells the search path at the login. */
  #reported?: string;
  #cancel = () => {};

  constructor(pool: PoolOptions, clock: Clock, attempt: Try) {
    this.options = pool.options;
    this.#pool = pool;
    this.#clock = clock;
    this.#try = attempt;
  }

  /** Follows how far the connection comes; `giveUp` ends it after a silence. */
  watch(connection: Client, giveUp: () => void): void {
    onceSecured(connection, () => {
      this.#sent = true;
      if (this.#try.proven) return;
      this.#cancel = whileListening(this.#clock, SILENCE_MS, giveUp);
    });
    getWire(connection).on(
      'parameterStatus',
      ({ parameterName, parameterValue }) => {
        if (parameterName === 'search_path') this.#reported = parameterValue;
      },
    );
  }

  /** @returns whether the connection, which is logged in, needs no statement. */
  async holds(connection: Client): Promise<boolean> {
    this.#cancel();
    const holds = await this.#see(connection);
    this.#settled = true;
    this.#try.report(holds ? 'taken' : 'refused');
    return holds;
  }

  async #see(connection: Client): Promise<boolean> {
    const { search_path, role } = this.#pool.settings;
    if (search_path !== undefined && this.#reported !== undefined) {
      if (this.#reported !== search_path) return false;
      if (role === undefined) return true;
    }
    return this.#pool.ask(connection);
  }

  /** @returns whether the connection may come further without them. */
  failed(error: unknown): boolean {
    this.#cancel();
    if (this.#settled) return false;
    const refused = this.#sent && isAboutOptions(error);
    this.#try.report(refused ? 'refused' : 'unknown');
    return refused;
  }
}

/** A gateway may say so, or end the connection without a word. */
function isAboutOptions(error: unknown): boolean {
  const { code = '', message = '' } = error as Partial<DatabaseError>;
  if (!SQLSTATE.test(code)) return !TLS_FAULT.test(code);
  if (ABOUT_ELSE.test(message)) return false;
  return ABOUT_OPTIONS.test(code) || /\boptions?\b|parameter/i.test(message);
}

import {
  DatabaseService,
  LoggerService,
  RootLifecycleService,
} from '@backstage/backend-plugin-api';
import { Config } from '@backstage/config';
import { stringifyError } from '@backstage/errors';
import { LAKEBASE_KEY, LakebaseConfig, readLakebaseConfig } from './config';
import { Workspace } from './databricks/workspace';
import { isPermanent } from './errors';
import { LakebaseConnector } from './lakebaseConnector';
import {
  checkDatabaseConfig,
  isSchemaMode,
  readAdminDatabase,
  readSkipMigrations,
} from './pluginDatabase';
import { RefreshListener, TokenRefresher } from './tokenRefresher';

export interface LakebaseOptions {
  rootConfig: Config;
  logger: LoggerService;
  lifecycle: RootLifecycleService;
  env: Record<string, string | undefined>;
}

/** What the plugins share: one identity, its credential, and all the pools. */
export class Lakebase {
  /**
   * Reads the configuration and joins the lifecycle of the backend.
   *
   * @throws InputError that names the key and the remedy.
   */
  static create(options: LakebaseOptions): Lakebase {
    const { rootConfig, env, lifecycle } = options;
    const logger = options.logger.child({ service: 'lakebase' });
    const config = readLakebaseConfig(rootConfig, env);
    checkDatabaseConfig(rootConfig, config, env);

    const workspace = new Workspace({
      settings: config.readWorkspace,
      endpoint: config.endpoint.value,
      credentialLifetimeMs: config.credentialLifetimeMs,
    });
    const tokens = new TokenRefresher({
      mint: signal => workspace.mintCredential(signal),
      ...refreshLog(logger),
    });
    const connector = new LakebaseConnector({
      rootConfig,
      config,
      tokens,
      findHost: signal => workspace.findHost(signal),
      defaultUser: () => config.readWorkspace().clientId,
      logger,
    });
    const lakebase = new Lakebase(rootConfig, config, logger, {
      workspace,
      tokens,
      connector,
    });
    lifecycle.addStartupHook(() => lakebase.#announce());
    lifecycle.addShutdownHook(() => lakebase.#stop());
    return lakebase;
  }

  readonly #rootConfig: Config;
  readonly #config: LakebaseConfig;
  readonly #logger: LoggerService;
  readonly #workspace: Workspace;
  readonly #tokens: TokenRefresher;
  readonly #connector: LakebaseConnector;
  #inUse = false;

  private constructor(
    rootConfig: Config,
    config: LakebaseConfig,
    logger: LoggerService,
    parts: {
      workspace: Workspace;
      tokens: TokenRefresher;
      connector: LakebaseConnector;
    },
  ) {
    this.#rootConfig = rootConfig;
    this.#config = config;
    this.#logger = logger;
    this.#workspace = parts.workspace;
    this.#tokens = parts.tokens;
    this.#connector = parts.connector;
  }

  /** Mints the first credential, before the first plugin asks for it. */
  start(): void {
    this.#inUse = true;
    this.#tokens.start();
  }

  forPlugin(pluginId: string): DatabaseService {
    return {
      getClient: () => this.#connector.getClient(pluginId),
      migrations: { skip: readSkipMigrations(this.#rootConfig, pluginId) },
    };
  }

  async #announce(): Promise<void> {
    if (!this.#inUse) {
      this.#logger.warn(
        `${LAKEBASE_KEY} is configured but not in use: another database ` +
          'service was added to the backend and took its place, or no plugin ' +
          'has a database',
      );
      return;
    }
    const { endpoint, workspaceHost } = this.#config;
    const { connection } = readAdminDatabase(this.#rootConfig, this.#config);
    const host = connection.host ?? (await this.#connector.findHost());
    const { clientId, identityKeys } = this.#config.readWorkspace();
    const mode = isSchemaMode(this.#rootConfig.getConfig('backend.database'))
      ? 'schema'
      : 'database';
    const place = (given: unknown, key: string, otherwise: string) =>
      given === undefined ? otherwise : `backend.database.connection.${key}`;
    this.#logger.info(
      `Lakebase is the database of the plugins, one ${mode} each: ` +
        `endpoint ${endpoint.value} (${endpoint.source}), ` +
        `host ${host}:${connection.port} ` +
        `(${place(connection.host, 'host', 'looked up')}), ` +
        `user ${connection.user ?? clientId} ` +
        `(${place(connection.user, 'user', 'the client id')}), ` +
        `workspace ${workspaceHost.value} (${workspaceHost.source}), ` +
        `OAuth client of ${identityKeys}`,
    );
  }

  async #stop(): Promise<void> {
    this.#tokens.stop();
    this.#workspace.stop();
    await this.#connector.close();
  }
}

const inWords = (ms: number) =>
  ms < 120_000
    ? `${Math.round(ms / 1000)} s`
    : `${Math.round(ms / 60_000)} min`;

/** Each state change once: a repeated failure is not news. */
function refreshLog(logger: LoggerService): RefreshListener {
  return {
    onRefreshed: ({ lifeMs, refreshInMs }) =>
      logger.debug(
        `Minted a Lakebase credential that lives ${inWords(lifeMs)}, next ` +
          `refresh in ${inWords(refreshInMs)}`,
      ),
    onFailing: ({ error, usableForMs }) => {
      const level = usableForMs > 0 ? 'warn' : 'error';
      logger[level](
        'Minting a Lakebase credential fails, ' +
          (isPermanent(error)
            ? 'and somebody has to act; it is tried again every few minutes. '
            : 'and is tried again. ') +
          (usableForMs > 0
            ? `The current one serves new connections for ${inWords(usableForMs)} more. `
            : 'Open connections go on, new ones can not be opened. ') +
          stringifyError(error),
      );
    },
    onRecovered: () => logger.info('Minting Lakebase credentials works again'),
  };
}

import { z } from 'zod';
import { boolean, duration, integer } from './values';

/** Lakebase guarantees no connection for longer than a day. */
const timeToWait = duration({
  fromMs: 1_000,
  toMs: 24 * 60 * 60_000,
  inWords: 'from 1 second to 24 hours',
});

/** What the platform accepts as `ttl` of a credential. */
const lifetime = duration({
  fromMs: 5 * 60_000,
  toMs: 60 * 60_000,
  inWords: 'whole seconds from 5 minutes to 1 hour',
}).refine(ms => ms % 1000 === 0, {
  error: 'must be whole seconds from 5 minutes to 1 hour',
});

const endpoint = z
  .string()
  .optional()
  .describe(
    'Name of the endpoint: projects/P, projects/P/branches/B or ' +
      'projects/P/branches/B/endpoints/E. What is left out of it is looked ' +
      'up. LAKEBASE_ENDPOINT when left out as a whole.',
  );

/** The block `workspace` of either of the blocks below. */
export const workspaceSchema = z.strictObject({
  host: z
    .string()
    .optional()
    .describe(
      'URL of the Databricks workspace, with ?o=<id> where it serves several; ' +
        'https when it has no scheme. DATABRICKS_HOST, or that of the ' +
        'profile, when left out.',
    ),
  clientId: z
    .string()
    .optional()
    .describe(
      'Application id of the service principal. DATABRICKS_CLIENT_ID ' +
        'when left out together with all else that identifies it.',
    ),
  clientSecret: z
    .string()
    .optional()
    .describe('OAuth secret of the service principal (oauth-m2m).')
    .meta({ visibility: 'secret' }),
  token: z
    .string()
    .optional()
    .describe('Personal access token (pat).')
    .meta({ visibility: 'secret' }),
  oidcTokenFile: z
    .string()
    .optional()
    .describe(
      'File with an id token of a trusted identity provider (file-oidc). It ' +
        'is read at every exchange.',
    ),
  oidcTokenEnv: z
    .string()
    .optional()
    .describe(
      'Environment variable with an id token of a trusted identity provider ' +
        '(env-oidc). DATABRICKS_OIDC_TOKEN when left out.',
    ),
  audience: z
    .string()
    .optional()
    .describe(
      'Whom an id token is made out to. The URL at which it is exchanged, ' +
        'when left out.',
    ),
  profile: z
    .string()
    .optional()
    .describe(
      'Profile of ~/.databrickscfg, or of the file that ' +
        'DATABRICKS_CONFIG_FILE names.',
    ),
  authType: z
    .string()
    .optional()
    .describe(
      'The method, by the name that Databricks gives it, where it does not ' +
        'follow from the other keys: oauth-m2m, pat, file-oidc, env-oidc, ' +
        'github-oidc or databricks-cli; or external, for a service of the ' +
        'backend that gets the tokens.',
    ),
});

/** The block `backend.database.lakebase`; also the source of config.schema.json. */
export const lakebaseSchema = z
  .strictObject({
    endpoint,
    instance: z
      .string()
      .optional()
      .describe('Name of a Provisioned instance, in place of an endpoint.'),
    workspace: workspaceSchema
      .optional()
      .describe('The workspace that mints the credentials, and as whom.'),
    credential: z
      .strictObject({
        lifetime: lifetime
          .optional()
          .describe(
            'How long a credential shall live, from 5 minutes to 1 hour. The ' +
              "platform's default (1 hour) when left out.",
          ),
      })
      .optional(),
    adminDatabase: z
      .string()
      .min(1)
      .optional()
      .describe(
        'The database from which missing plugin databases are created. ' +
          'databricks_postgres when left out.',
      ),
    localProxy: boolean
      .optional()
      .describe(
        'Serves plugins that connect to backend.database.connection by ' +
          'themselves, past the database service: its host is then the ' +
          "directory of the proxy's socket. false when left out.",
      ),
    connection: z
      .strictObject({
        host: z
          .string()
          .optional()
          .describe('Where this module dials, such as the end of a tunnel.'),
        port: z
          .union([z.number(), z.string()])
          .optional()
          .describe('5432 when left out.'),
        ssl: z
          .union([
            boolean,
            z.strictObject({
              ca: z.string().optional(),
              servername: z.string().optional(),
            }),
          ])
          .optional()
          .describe(
            'ca: the authority in PEM, where Node does not trust it already. ' +
              "servername: the endpoint's own host name, where host is another.",
          ),
      })
      .optional()
      .describe(
        'How this module alone reaches the endpoint, in place of host, port ' +
          'and ssl of backend.database.connection.',
      ),
    connectTimeout: timeToWait
      .optional()
      .describe(
        'How long one new connection may take in all: waiting for a ' +
          'credential, for a waking endpoint, and logging in. 60 seconds when ' +
          'left out.',
      ),
    maxConnections: integer
      .optional()
      .describe(
        'How many connections the whole process may have open, all plugins ' +
          'together. No bound of its own when left out.',
      ),
    maxConnectionAge: timeToWait
      .optional()
      .describe(
        'A pooled connection is replaced after this time, less up to a tenth ' +
          'of jitter. 45 minutes when left out.',
      ),
    readiness: boolean
      .optional()
      .describe(
        "Whether Backstage's readiness probe fails while no credential is " +
          'valid and none can be minted. false when left out.',
      ),
  })
  .describe(
    'Runs Backstage on Databricks Lakebase: connections log in with ' +
      'short-lived credentials that are minted from the workspace.',
  );

/** The block `backend.database.plugin.<id>.lakebase`. */
export const pluginLakebaseSchema = z
  .strictObject(
    {
      endpoint: endpoint.describe(
        'Resource path of another endpoint for this plugin; host and user of ' +
          'the base connection do not apply to it.',
      ),
      workspace: workspaceSchema
        .optional()
        .describe(
          'Another workspace or identity for this plugin, in place of the ' +
            'whole shared one.',
        ),
    },
    {
      error: ({ code, ...issue }) => {
        const keys =
          code === 'unrecognized_keys' ? (issue.keys as string[]) : [];
        return keys.some(isShared)
          ? `${keys.join(', ')} can be set for all plugins only, under ` +
              'backend.database.lakebase'
          : undefined;
      },
    },
  )
  .describe('What is different for this plugin.');

const isShared = (key: string) => key in lakebaseSchema.shape;

/** What the blocks hold once they have the right shape. */
export type LakebaseBlock = z.infer<typeof lakebaseSchema>;
export type WorkspaceBlock = z.infer<typeof workspaceSchema>;

import { WorkspaceBlock } from './configSchema';
import { DatabricksProfile, readDatabricksProfile } from './databricksProfile';

export type Env = Record<string, string | undefined>;

/** What may be said of a workspace and an identity, wherever it is said. */
export type Setting =
  keyof WorkspaceBlock | 'accountId' | 'oidcToken' | 'workspaceId';

/** One place where settings are found. */
export interface Source {
  get(setting: Setting): string | undefined;
  /** What the setting is called there, for messages. */
  nameOf(setting: Setting): string;
  /** Whose section this is. */
  profile?: string;
  /** Whether it is the default one, which nothing asked for. */
  unnamed?: boolean;
}

const ENV_NAMES: Record<Setting, string> = {
  host: 'DATABRICKS_HOST',
  clientId: 'DATABRICKS_CLIENT_ID',
  clientSecret: 'DATABRICKS_CLIENT_SECRET',
  token: 'DATABRICKS_TOKEN',
  profile: 'DATABRICKS_CONFIG_PROFILE',
  authType: 'DATABRICKS_AUTH_TYPE',
  oidcTokenFile: 'DATABRICKS_OIDC_TOKEN_FILEPATH',
  oidcTokenEnv: 'DATABRICKS_OIDC_TOKEN_ENV',
  oidcToken: 'DATABRICKS_OIDC_TOKEN',
  audience: 'DATABRICKS_TOKEN_AUDIENCE',
  accountId: 'DATABRICKS_ACCOUNT_ID',
  workspaceId: 'DATABRICKS_WORKSPACE_ID',
};

const PROFILE_NAMES: Partial<Record<Setting, string>> = {
  host: 'host',
  clientId: 'client_id',
  clientSecret: 'client_secret',
  token: 'token',
  authType: 'auth_type',
  // Not a slip: Databricks' tools call it so.
  oidcTokenFile: 'databricks_id_token_filepath',
  oidcTokenEnv: 'oidc_token_env',
  audience: 'audience',
  accountId: 'account_id',
  workspaceId: 'workspace_id',
};

/**
 * The places to look at, best first: the block with the profile that it names,
 * the environment with the profile that it names, or else the default profile.
 * The file of the profiles is read only when one is asked for.
 *
 * @throws InputError
 */
export function* listSources(
  key: string,
  block: WorkspaceBlock,
  env: Env,
): Generator<Source> {
  const ofBlock = readBlock(key, block);
  yield ofBlock;
  if (ofBlock.get('profile')) yield* findProfile(ofBlock, env);
  const ofEnvironment = readEnvironment(env);
  yield ofEnvironment;
  if (!ofBlock.get('profile')) yield* findProfile(ofEnvironment, env);
}

const readBlock = (key: string, block: WorkspaceBlock): Source => ({
  get: setting =>
    trimSetting((block as Partial<Record<Setting, string>>)[setting]),
  nameOf: setting => `${key}.${setting}`,
});

export const readEnvironment = (env: Env): Source => ({
  get: setting => trimSetting(env[ENV_NAMES[setting]]),
  nameOf: setting => ENV_NAMES[setting],
});

function* findProfile(naming: Source, env: Env): Generator<Source> {
  const name = naming.get('profile');
  const profile = readDatabricksProfile(
    env,
    name === undefined ? undefined : { name, key: naming.nameOf('profile') },
  );
  if (profile) yield readProfile(profile, naming);
}

/** Who names a profile may also choose among what is in it. */
const CHOICES: Setting[] = ['authType', 'audience'];

function readProfile(
  { name, file, values }: DatabricksProfile,
  naming: Source,
): Source {
  const chosen = (setting: Setting) =>
    CHOICES.includes(setting) ? naming.get(setting) : undefined;
  return {
    profile: name,
    unnamed: naming.get('profile') === undefined,
    get: setting =>
      chosen(setting) ?? trimSetting(values[PROFILE_NAMES[setting] ?? '']),
    nameOf: setting =>
      chosen(setting) === undefined
        ? `${PROFILE_NAMES[setting]} of profile '${name}' in ${file}`
        : naming.nameOf(setting),
  };
}

/** Blanks around a value, or in place of one, come from files and shells. */
export const trimSetting = (value: string | undefined) =>
  value?.trim() || undefined;

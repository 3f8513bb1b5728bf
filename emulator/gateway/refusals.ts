export interface RefusalVariant {
  code: string;
  message: (user: string, database: string) => string;
  detail?: string;
  severity?: string;
}

export type RefusalKind =
  | 'expired'
  | 'revoked'
  | 'notAToken'
  | 'wrongIdentity'
  | 'missingRole'
  | 'externalAuthorization'
  | 'notYetValid'
  | 'keyUnknown'
  | 'pooled'
  | 'plaintext'
  | 'noSni'
  | 'startupOptions'
  | 'missingDatabase'
  | 'startingUp'
  | 'shuttingDown'
  | 'tooManyConnections'
  | 'handshakeTimeout'
  | 'computeUnreachable';

const unixTime = () => Math.floor(Date.now() / 1000);

const variant = (
  code: string,
  message: string | RefusalVariant['message'],
  detail?: string,
): RefusalVariant => ({
  code,
  message: typeof message === 'string' ? () => message : message,
  detail,
});

const variants = (
  codes: string[],
  message: string | RefusalVariant['message'],
) => codes.map(code => variant(code, message));

const PASSWORD_FAILED = ['28P01', 'XX000'].flatMap(code => [
  variant(code, user => `password authentication failed for user '${user}'`),
  variant(code, user => `password authentication failed for user "${user}"`),
]);

const EXPIRED = variants(
  ['XX000', '28P01', '28000'],
  () => `JWT token has expired (exp=${unixTime()})`,
);

const NATIVE_LOGIN = (user: string) =>
  `Failed to decode token for role "${user}" and native postgres login was not enabled`;

/**
 * What the platform may say when it turns a login away. Texts and codes vary
 * with its age and flavour, so every known variant is here; the first is what
 * the gateway says unless told otherwise.
 */
export const REFUSALS: Record<RefusalKind, RefusalVariant[]> = {
  expired: [...EXPIRED, ...PASSWORD_FAILED],
  revoked: [...PASSWORD_FAILED, ...EXPIRED],
  notAToken: [
    ...variants(
      ['XX000', '28P01', '28000'],
      'Provided authentication token is not a valid JWT encoding',
    ),
    variant('28P01', NATIVE_LOGIN),
    ...PASSWORD_FAILED,
  ],
  wrongIdentity: PASSWORD_FAILED,
  missingRole: variants(
    ['28000', '28P01', 'XX000'],
    user => `role "${user}" does not exist`,
  ),
  externalAuthorization: [
    variant(
      '28000',
      'External authorization failed.',
      'The database instance may be paused, or the source IP address or private link is not allowed.',
    ),
  ],
  notYetValid: variants(
    ['XX000', '28P01', '28000'],
    () => `JWT token is not yet ready to use (nbf=${unixTime() + 60})`,
  ),
  keyUnknown: variants(['XX000', '28P01', '28000'], 'jwk not found'),
  pooled: [variant('08P01', 'SASL authentication failed')],
  plaintext: [
    variant('08P01', 'Invalid protocol version. Protocol version: 196608'),
    variant('08006', 'Insecure connection'),
  ],
  noSni: variants(['08006', 'XX000'], 'Connection does not have SNI.'),
  startupOptions: [
    variant('08P01', 'unsupported startup parameter: options'),
    variant('0A000', 'startup options are not supported'),
    variant('XX000', 'unsupported startup parameter in options: search_path'),
  ],
  missingDatabase: [
    variant('3D000', (_, database) => `database "${database}" does not exist`),
  ],
  startingUp: [variant('57P03', 'the database system is starting up')],
  shuttingDown: [
    variant('57P01', 'terminating connection due to administrator command'),
    variant(
      '57P02',
      'terminating connection because of crash of another server process',
    ),
  ],
  tooManyConnections: [
    variant('53300', 'sorry, too many clients already'),
    variant(
      '53300',
      'remaining connection slots are reserved for roles with the SUPERUSER attribute',
    ),
    ...variants(['53300', 'XX000'], 'Too many connections to this endpoint'),
    ...variants(['53300', 'XX000'], 'Failed to acquire permit to connect'),
  ],
  handshakeTimeout: [
    ...variants(['08006', 'XX000'], 'Client handshake timeout.'),
    ...variants(['08006', 'XX000'], 'Invalid upstream handshake state.'),
  ],
  computeUnreachable: [
    variant('XX000', "Couldn't connect to compute node"),
    variant('XX000', 'Control plane request failed'),
    variant('XX000', 'Authentication timed out'),
  ],
};

interface ErrorCode {
  /**
   * Whether it passes by itself: then it is retried within the caller's
   * deadline. Everything else is permanent until somebody changes a setting or
   * a grant.
   */
  passes: boolean;
  /** What is behind it, as docs/errors.md tells it. */
  cause: string;
  /** What to do; the message of the error has more, for the case at hand. */
  cure: string;
}

const passing = (cause: string, cure: string): ErrorCode => ({
  passes: true,
  cause,
  cure,
});

const permanent = (cause: string, cure: string): ErrorCode => ({
  passes: false,
  cause,
  cure,
});

/**
 * What went wrong, as a word that code can decide on; docs/errors.md has the
 * cause and the cure of each.
 *
 * @public
 */
export type LakebaseErrorCode =
  | 'workspace-unreachable'
  | 'workspace-busy'
  | 'workspace-reply-invalid'
  | 'permission-not-propagated'
  | 'workspace-untrusted'
  | 'workspace-redirected'
  | 'workspace-mismatch'
  | 'client-refused'
  | 'access-token-refused'
  | 'permission-denied'
  | 'endpoint-not-found'
  | 'request-invalid'
  | 'database-unreachable'
  | 'database-waking'
  | 'database-full'
  | 'database-unknown-host'
  | 'external-authorization-failed'
  | 'token-refused'
  | 'database-error'
  | 'database-untrusted'
  | 'database-refused'
  | 'database-missing'
  | 'database-read-only'
  | 'database-host-missing'
  | 'branch-changed'
  | 'branch-missing'
  | 'branch-exists'
  | 'branch-quota'
  | 'branch-ttl-capped'
  | 'branch-refused'
  | 'operation-failed'
  | 'scrub-refused'
  | 'migrations-locked'
  | 'warehouse-missing'
  | 'warehouse-stopped'
  | 'statement-failed'
  | 'connections-spent'
  | 'role-missing'
  | 'login-refused'
  | 'grant-missing'
  | 'connect-timeout'
  | 'stopped';

/** What each code means. */
export const ERROR_CODES: Record<LakebaseErrorCode, ErrorCode> = {
  'workspace-unreachable': passing(
    'The workspace did not answer within 10 seconds, or not at all.',
    'Check its host, name resolution and the outbound proxy.',
  ),
  'workspace-busy': passing(
    'The workspace limits calls, is being maintained or has a fault (429, 5xx).',
    'Wait. If it lasts, see the status page of Databricks.',
  ),
  'workspace-reply-invalid': passing(
    'The reply is no JSON, too large, or lacks what it must have: a proxy or a login page may answer in place of the workspace.',
    'Check the host, and who answers there.',
  ),
  'permission-not-propagated': passing(
    'A grant has not reached every part of the workspace yet.',
    'Wait a minute.',
  ),
  'workspace-untrusted': permanent(
    'The TLS certificate of the workspace could not be verified, or something in the process has turned verification off.',
    'Start Node with NODE_EXTRA_CA_CERTS for a private authority; remove NODE_TLS_REJECT_UNAUTHORIZED.',
  ),
  'workspace-redirected': permanent(
    'The workspace answered with a redirect, which is never followed, since a secret would travel along.',
    'Check the host, and whether the workspace is reachable through private link only.',
  ),
  'workspace-mismatch': permanent(
    'Another workspace answered than the one whose id is configured.',
    'Check ?o= of the host, DATABRICKS_WORKSPACE_ID and workspace_id of the profile.',
  ),
  'client-refused': permanent(
    'The OAuth secret or id token is wrong, expired or revoked, or of another workspace.',
    'Make a new secret, or mend the federation policy.',
  ),
  'access-token-refused': permanent(
    'The workspace refused a token that it or a source of tokens gave.',
    'Renew the personal access token or the login of the CLI; name the workspace where its host serves several.',
  ),
  'permission-denied': permanent(
    'The identity lacks CAN USE on the project, CAN MANAGE for branches, CAN USE on a SQL warehouse or a grant on `system`; or the IP access list keeps this host out.',
    'Give what the message names.',
  ),
  'endpoint-not-found': permanent(
    'The endpoint is misspelt, lies in another workspace, or is hidden from the identity.',
    'Check `endpoint`; give CAN USE on the project.',
  ),
  'request-invalid': permanent(
    'The workspace cannot read the request: a malformed endpoint, or a lifetime out of bounds.',
    'Check `endpoint` and `credential.lifetime`.',
  ),
  'database-unreachable': passing(
    'The endpoint did not answer, or the connection ended before the login.',
    'Check firewalls and routes to port 5432.',
  ),
  'database-waking': passing(
    'The endpoint is starting up.',
    'Wait; raise `connectTimeout` where it takes longer.',
  ),
  'database-full': passing(
    'The endpoint lets no more connections in.',
    'Set `maxConnections`, or give the endpoint more compute.',
  ),
  'database-unknown-host': passing(
    'The name of the endpoint does not resolve, yet.',
    'Check DNS and `connection.host`.',
  ),
  'external-authorization-failed': passing(
    'The gateway refuses the login, for the endpoint or the role is new, or for what the message lists.',
    'Wait a minute; then look for a disabled endpoint, an IP access list, private link.',
  ),
  'token-refused': passing(
    'The endpoint refused a credential, which is replaced once.',
    'Nothing, unless login-refused follows.',
  ),
  'database-error': permanent(
    'Postgres refused something for a reason that is not known here.',
    'Read what Postgres says: it is the cause of the error.',
  ),
  'database-untrusted': permanent(
    'The TLS certificate of the endpoint could not be verified.',
    'Set `connection.ssl.ca` for an inspecting proxy, `connection.ssl.servername` for a tunnel.',
  ),
  'database-refused': permanent(
    'The gateway refuses this way of connecting: a pooled host, no server name, no TLS.',
    'Leave `connection.host` out, or take the direct host.',
  ),
  'database-missing': permanent(
    'There is no database of that name.',
    'Create it, or let it be created: `ensureExists`.',
  ),
  'database-read-only': permanent(
    'The host is that of a read replica.',
    'Take the read-write endpoint.',
  ),
  'database-host-missing': permanent(
    'The name of the endpoint has not resolved for as long as a connection may take.',
    'Check DNS and `connection.host`.',
  ),
  'branch-changed': permanent(
    'The name of the endpoint, or the default branch, means another branch than when the process started.',
    'Restart, to follow it.',
  ),
  'branch-missing': permanent(
    'There is no branch of that name.',
    'See `backstage-lakebase branch list --deleted`.',
  ),
  'branch-exists': permanent(
    'A branch of that name is there already.',
    'Take another name, or delete that branch.',
  ),
  'branch-quota': permanent(
    'The project has as many branches as it may have: 10 that are not archived.',
    'Delete what nobody needs: `backstage-lakebase branch sweep`.',
  ),
  'branch-ttl-capped': permanent(
    'The workspace caps how long a branch may live.',
    'Ask for a shorter `--ttl`.',
  ),
  'branch-refused': permanent(
    'The branch is production, protected, a root, has children, or cannot have any; or the moment lies outside the restore window.',
    'The message says which.',
  ),
  'operation-failed': permanent(
    'Databricks began a change and did not end it.',
    'Run the same command again: it goes on where that one ended.',
  ),
  'scrub-refused': permanent(
    'A copy has tables that this version does not know and that may hold secrets.',
    'Look at them; `--allow-unknown PLUGIN` leaves them as they are.',
  ),
  'migrations-locked': permanent(
    'Another process migrates, or one that was killed has left its lock.',
    'Wait, or free the lock as the message says.',
  ),
  'warehouse-missing': permanent(
    'The workspace has no SQL warehouse of that id.',
    'Check `--warehouse` and DATABRICKS_WAREHOUSE_ID.',
  ),
  'warehouse-stopped': permanent(
    'The SQL warehouse is stopped, and a statement does not start it.',
    'Start it, or name another one.',
  ),
  'statement-failed': permanent(
    'Databricks did not run a SQL statement to its end.',
    'Run the SQL that the command prints without `--warehouse` in the SQL editor.',
  ),
  'connections-spent': permanent(
    'All connections within `maxConnections` are in use.',
    'Raise it, or see in the message which plugin holds how many.',
  ),
  'role-missing': permanent(
    'The identity has no Postgres role on this branch.',
    'Run the SQL in the message.',
  ),
  'login-refused': permanent(
    'The endpoint refused a fresh credential, too: `connection.user` is not the identity that mints, or its role was made without `databricks_create_role`.',
    'Compare the user with the identity in the start line.',
  ),
  'grant-missing': permanent(
    'The role lacks a right.',
    'Run the statement in the message, where it says.',
  ),
  'connect-timeout': permanent(
    'No connection within `connectTimeout`; the cause says what it waited for.',
    'See the code of the cause.',
  ),
  stopped: permanent('The backend is shutting down.', 'Nothing.'),
};

import { posix } from 'node:path';
import { GITHUB_SUBJECT } from '../identityProvider';
import { ApiError, OAuthError } from './apiError';
import { credential, instanceCredential } from './credentials';
import type { Reply } from './reply';
import { page } from './pages';
import {
  bearerTokenOf,
  callerOf,
  type ApiRequest,
  type Platform,
} from './platform';
import { resourceName, type Route } from './routes';
import { discovery, workspaceToken } from './workspaceTokens';

/** What the platform answers when all is well, errors of the caller included. */
export async function usualReply(
  route: Route | undefined,
  request: ApiRequest,
  platform: Platform,
): Promise<Reply> {
  try {
    return { status: 200, body: await bodyOf(route, request, platform) };
  } catch (error) {
    if (error instanceof ApiError || error instanceof OAuthError)
      return error.reply;
    throw error;
  }
}

async function bodyOf(
  route: Route | undefined,
  request: ApiRequest,
  platform: Platform,
): Promise<unknown> {
  switch (route) {
    case undefined:
      throw new ApiError(404, 'No API found', 'ENDPOINT_NOT_FOUND');
    case 'discovery':
      return discovery(platform);
    case 'token':
      return workspaceToken(request, platform);
    case 'githubIdToken':
      return githubIdToken(request, platform);
    case 'me':
      return me(callerOf(request, platform));
    case 'credentials':
      return credential(request, platform);
    case 'instanceCredentials':
      return instanceCredential(request, platform);
    case 'createBranch':
    case 'updateBranch':
    case 'deleteBranch':
    case 'undeleteBranch':
    case 'createEndpoint':
    case 'updateEndpoint':
      checkMayManage(callerOf(request, platform), platform);
      await platform.branchChanges.expire();
      return change(route, request, platform);
    case 'createCatalog':
      callerOf(request, platform);
      return platform.registrations.create(
        request.query.get('catalog_id'),
        (request.body.spec ?? {}) as Record<string, unknown>,
      );
    case 'submitStatement':
    case 'statement':
    case 'statementChunk':
    case 'cancelStatement':
      return statement(route, request, platform);
    default:
      callerOf(request, platform);
      await platform.branchChanges.expire();
      return resource(route, request, platform);
  }
}

async function statement(
  route: Route,
  request: ApiRequest,
  platform: Platform,
): Promise<object> {
  const caller = callerOf(request, platform);
  const { warehouse } = platform;
  const [id, , , chunk] = request.path.split('/').slice(5);
  switch (route) {
    case 'submitStatement':
      // A branch that is over has used nothing since then.
      await platform.branchChanges.expire();
      return warehouse.submit(request.body, caller);
    case 'statement':
      return warehouse.read(id);
    case 'statementChunk':
      return warehouse.chunk(id, Number(chunk));
    default:
      return warehouse.cancel(id);
  }
}

function checkMayManage(userName: string, { workspace }: Platform): void {
  if (workspace.mayManage(userName)) return;
  throw new ApiError(403, 'User does not have CAN MANAGE on the project');
}

function change(
  route: Route,
  { path, query, body }: ApiRequest,
  { branchChanges }: Platform,
): object {
  const name = resourceName(path);
  const spec = (body.spec ?? {}) as Record<string, string>;
  switch (route) {
    case 'createBranch':
      return branchChanges.create(
        posix.dirname(name),
        query.get('branch_id'),
        spec,
      );
    case 'updateBranch':
      return branchChanges.update(name, query.get('update_mask'), spec);
    case 'updateEndpoint':
      return branchChanges.updateEndpoint(name, query.get('update_mask'), spec);
    case 'undeleteBranch':
      return branchChanges.undelete(posix.dirname(name));
    case 'createEndpoint':
      return branchChanges.addEndpoint(
        posix.dirname(name),
        query.get('endpoint_id'),
        spec,
      );
    default:
      return branchChanges.remove(name, query.get('purge') === 'true');
  }
}

function resource(
  route: Route,
  { path, query }: ApiRequest,
  { catalog, instance, operations, registrations }: Platform,
): object {
  switch (route) {
    case 'catalog':
      return registrations.read(posix.basename(path));
    case 'operation':
      return operations.read(resourceName(path));
    case 'instance':
      return instance.read(path);
    case 'projects':
    case 'branches':
    case 'endpoints': {
      const entries = catalog.list(
        resourceName(path),
        query.get('show_deleted') === 'true',
      );
      return page(entries, route, query, catalog.pageSize);
    }
    case 'branch':
      catalog.branch(resourceName(path));
      return catalog.read(resourceName(path));
    default:
      return catalog.read(resourceName(path));
  }
}

const me = (userName: string) => ({
  schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
  id: '7480127719355012',
  userName,
  displayName: 'Backstage',
  active: true,
});

async function githubIdToken(
  { headers, query }: ApiRequest,
  { identityProvider }: Platform,
) {
  if (bearerTokenOf(headers) !== identityProvider.githubRequestToken)
    throw new ApiError(401, 'The request token is not valid');
  const value = await identityProvider.issueToken({
    subject: GITHUB_SUBJECT,
    audience: query.get('audience') ?? 'https://github.com/acme',
  });
  return { value };
}

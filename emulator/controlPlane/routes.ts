export type Route =
  | 'discovery'
  | 'token'
  | 'credentials'
  | 'projects'
  | 'project'
  | 'branches'
  | 'branch'
  | 'endpoints'
  | 'endpoint'
  | 'createBranch'
  | 'updateBranch'
  | 'updateEndpoint'
  | 'deleteBranch'
  | 'undeleteBranch'
  | 'createEndpoint'
  | 'operation'
  | 'createCatalog'
  | 'catalog'
  | 'submitStatement'
  | 'statement'
  | 'statementChunk'
  | 'cancelStatement'
  | 'me'
  /** Of Lakebase Provisioned. */
  | 'instance'
  | 'instanceCredentials'
  /** Not the workspace's: GitHub's, where a workflow asks for its id token. */
  | 'githubIdToken';

const API = '/api/2.0/postgres';

const STATEMENTS = '/api/2.0/sql/statements';

const PATTERNS: [Route, method: string, path: RegExp][] = [
  ['discovery', 'GET', /^\/oidc\/\.well-known\/oauth-authorization-server$/],
  ['token', 'POST', /^\/oidc\/v1\/token$/],
  ['me', 'GET', /^\/api\/2\.0\/preview\/scim\/v2\/Me$/],
  ['credentials', 'POST', /^\/api\/2\.0\/postgres\/credentials$/],
  ['projects', 'GET', resource('projects')],
  ['project', 'GET', resource('projects/*')],
  ['branches', 'GET', resource('projects/*/branches')],
  ['branch', 'GET', resource('projects/*/branches/*')],
  ['endpoints', 'GET', resource('projects/*/branches/*/endpoints')],
  ['endpoint', 'GET', resource('projects/*/branches/*/endpoints/*')],
  ['createBranch', 'POST', resource('projects/*/branches')],
  ['updateBranch', 'PATCH', resource('projects/*/branches/*')],
  ['deleteBranch', 'DELETE', resource('projects/*/branches/*')],
  ['undeleteBranch', 'POST', resource('projects/*/branches/*/undelete')],
  ['updateEndpoint', 'PATCH', resource('projects/*/branches/*/endpoints/*')],
  ['createEndpoint', 'POST', resource('projects/*/branches/*/endpoints')],
  ['createCatalog', 'POST', resource('catalogs')],
  ['catalog', 'GET', resource('catalogs/*')],
  ['submitStatement', 'POST', new RegExp(`^${STATEMENTS}/?$`)],
  ['statement', 'GET', new RegExp(`^${STATEMENTS}/[^/]+$`)],
  [
    'statementChunk',
    'GET',
    new RegExp(`^${STATEMENTS}/[^/]+/result/chunks/\\d+$`),
  ],
  ['cancelStatement', 'POST', new RegExp(`^${STATEMENTS}/[^/]+/cancel$`)],
  ['operation', 'GET', new RegExp(`^${API}/.+/operations/[^/]+$`)],
  ['instance', 'GET', /^\/api\/2\.0\/database\/instances\/[^/]+$/],
  ['instanceCredentials', 'POST', /^\/api\/2\.0\/database\/credentials$/],
  ['githubIdToken', 'GET', /^\/github\/idtoken$/],
];

function resource(pattern: string): RegExp {
  return new RegExp(`^${API}/${pattern.replaceAll('*', '[^/]+')}$`);
}

export function routeOf(method: string, path: string): Route | undefined {
  return PATTERNS.find(
    ([, expected, pattern]) => expected === method && pattern.test(path),
  )?.[0];
}

/** `/api/2.0/postgres/projects/p` → `projects/p` */
export const resourceName = (path: string) => path.slice(API.length + 1);

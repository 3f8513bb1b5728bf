import { ApiError } from './apiError';
import { callerOf, type ApiRequest, type Platform } from './platform';

const MIN_TTL_S = 300;
const MAX_TTL_S = 3600;

export async function credential(request: ApiRequest, platform: Platform) {
  const userName = callerOf(request, platform);
  const { endpoint, ttl } = request.body;
  if (typeof endpoint !== 'string' || endpoint === '')
    throw new ApiError(
      400,
      "Field 'endpoint' is required, expected non-default value",
    );
  if (!/^projects\/[^/]+\/branches\/[^/]+\/endpoints\/[^/]+$/.test(endpoint))
    throw new ApiError(400, `Invalid endpoint name '${endpoint}'`);
  if (!platform.catalog.hasEndpoint(endpoint))
    throw platform.catalog.notFound(endpoint);

  const { token, expiresAt } = await mint(userName, lifeOf(ttl), platform);
  return { token, expire_time: expiresAt };
}

/** The call of Lakebase Provisioned, whose fields have other names. */
export async function instanceCredential(
  request: ApiRequest,
  platform: Platform,
) {
  const userName = callerOf(request, platform);
  const { instance_names: names, request_id: requestId } = request.body;
  if (typeof requestId !== 'string' || requestId === '')
    throw new ApiError(400, "Field 'request_id' is required");
  if (!Array.isArray(names) || names.length === 0)
    throw new ApiError(400, "Field 'instance_names' must not be empty");
  for (const name of names) platform.instance.checkName(String(name));

  const life = MAX_TTL_S * 1000;
  const { token, expiresAt } = await mint(userName, life, platform);
  return { token, expiration_time: expiresAt };
}

async function mint(userName: string, lifeMs: number, platform: Platform) {
  const { token, expiresAt } = await platform.authority.mint(
    userName,
    Math.min(lifeMs, platform.credentialLifeMs),
  );
  return { token, expiresAt: new Date(expiresAt).toISOString() };
}

function lifeOf(ttl: unknown = `${MAX_TTL_S}s`): number {
  const seconds =
    typeof ttl === 'string' ? Number(/^(\d+)s$/.exec(ttl)?.[1]) : NaN;
  if (Number.isNaN(seconds)) throw new ApiError(400, 'Invalid duration: ttl');
  if (seconds > MAX_TTL_S)
    throw new ApiError(
      400,
      'expiration time exceeds the maximum expiration time',
    );
  if (seconds < MIN_TTL_S)
    throw new ApiError(400, 'expiration time is below the minimum of 300s');
  return seconds * 1000;
}

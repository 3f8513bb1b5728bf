import { Client, type ClientConfig } from 'pg';
import type { Emulator, ServicePrincipal } from '../../emulator';

const opened: Client[] = [];

/** Logs in through the gateway with a freshly minted credential. */
export async function logIn(
  emulator: Emulator,
  overrides: ClientConfig = {},
): Promise<Client> {
  const { clientId } = emulator.servicePrincipal;
  const client = new Client({
    host: 'localhost',
    port: emulator.gateway.port,
    user: clientId,
    password: overrides.password ?? (await mint(emulator)),
    database: 'databricks_postgres',
    ssl: { ca: emulator.ca.cert },
    ...overrides,
  });
  // A connection that the gateway ends reports so here.
  client.on('error', () => {});
  opened.push(client);
  await client.connect();
  return client;
}

export async function closeClients(emulator: Emulator): Promise<void> {
  await Promise.all(opened.splice(0).map(client => client.end()));
  await emulator.gateway.drained();
}

export const currentUser = async (client: Client): Promise<string> => {
  const { rows } = await client.query<{ current_user: string }>(
    'SELECT current_user',
  );
  return rows[0].current_user;
};

/** The fields that the tests read of all the replies there are. */
interface ReplyBody {
  token_endpoint: string;
  access_token: string;
  token: string;
  expire_time: string;
  error: string;
  error_code: string;
  message: string;
  details: { request_id: string }[];
  userName: string;
  endpoints: { name: string }[];
  status: {
    default_branch: string;
    hosts: { host: string };
    current_state: string;
  };
}

export async function fetchJson(url: string, init?: RequestInit) {
  const response = await fetch(url, init);
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as ReplyBody,
  };
}

export function requestToken(
  { controlPlane }: Emulator,
  { clientId, clientSecret }: ServicePrincipal,
) {
  const basic = `${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`;
  return fetchJson(`${controlPlane.url}/oidc/v1/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(basic)}` },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      scope: 'all-apis',
    }),
  });
}

export async function workspaceToken(
  emulator: Emulator,
  principal = emulator.servicePrincipal,
): Promise<string> {
  const { body } = await requestToken(emulator, principal);
  return body.access_token;
}

export function requestCredential(
  { controlPlane, endpoint }: Emulator,
  token: string,
  body: object = { endpoint },
) {
  return fetchJson(`${controlPlane.url}/api/2.0/postgres/credentials`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
  });
}

export async function mint(
  emulator: Emulator,
  principal = emulator.servicePrincipal,
): Promise<string> {
  const token = await workspaceToken(emulator, principal);
  return (await requestCredential(emulator, token)).body.token;
}

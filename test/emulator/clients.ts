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
  value: string;
  expiration_time: string;
  projects: { name: string }[];
  branches: { name: string }[];
  endpoints: { name: string }[];
  next_page_token?: string;
  uid: string;
  read_write_dns: string;
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

/** Asks the control plane as whoever this workspace token belongs to. */
export function get({ controlPlane }: Emulator, path: string, token: string) {
  return fetchJson(controlPlane.url + path, {
    headers: { authorization: `Bearer ${token}` },
  });
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

/** Trades a token of an identity provider; `undefined` leaves a field out. */
export function exchangeToken(
  { controlPlane }: Emulator,
  fields: Record<string, string | undefined>,
) {
  const form = {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    scope: 'all-apis',
    ...fields,
  };
  const given = Object.entries(form).filter(([, value]) => value !== undefined);
  return fetchJson(`${controlPlane.url}/oidc/v1/token`, {
    method: 'POST',
    body: new URLSearchParams(given),
  });
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

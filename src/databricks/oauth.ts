import { z } from 'zod';
import { Credential } from '../tokenRefresher';
import { federationRemedy } from './identityTexts';
import type { TokenRequest } from './tokenRequest';
import { callWorkspace } from './workspaceRequest';
import { readReply } from './workspaceReply';

const oauthReply = z.object({
  access_token: z.string().min(1),
  // RFC 6749 wants a number; some servers send it as a string.
  expires_in: z
    .union([z.number(), z.string().regex(/^\d+$/).transform(Number)])
    .pipe(z.number().positive()),
});

/** OAuth machine-to-machine: RFC 6749, section 4.4. */
export function exchangeClientSecret(
  request: TokenRequest,
  clientId: string,
  clientSecret: string,
): Promise<Credential> {
  const basic = [clientId, clientSecret].map(encodeURIComponent).join(':');
  return callTokenUrl(request, {
    action: 'exchange the OAuth client secret for a token',
    surface: 'client',
    form: { grant_type: 'client_credentials' },
    authorization: `Basic ${Buffer.from(basic).toString('base64')}`,
  });
}

/** OAuth token exchange: RFC 8693. */
export function exchangeIdToken(
  request: TokenRequest,
  idToken: string,
): Promise<Credential> {
  const { clientId } = request.settings;
  return callTokenUrl(request, {
    action: 'exchange the id token for a token',
    surface: 'exchange',
    form: {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: idToken,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      ...(clientId && { client_id: clientId }),
    },
    identityRemedy: federationRemedy(
      request.settings,
      idToken,
      request.clock.wall(),
    ),
  });
}

async function callTokenUrl(
  { settings, subject, clock, signal }: TokenRequest,
  exchange: {
    action: string;
    surface: 'client' | 'exchange';
    form: Record<string, string>;
    authorization?: string;
    identityRemedy?: string;
  },
): Promise<Credential> {
  const { action, surface, form, authorization, identityRemedy } = exchange;
  const { host } = settings;
  const { reply } = await callWorkspace({
    host,
    path: '/oidc/v1/token',
    method: 'POST',
    headers: {
      ...(authorization && { authorization }),
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams({ ...form, scope: 'all-apis' }).toString(),
    subject: {
      ...subject,
      action,
      surface,
      ...(identityRemedy && { identityRemedy }),
    },
    clock,
    signal,
  });
  const parsed = readReply(oauthReply, reply, host, action);
  return { token: parsed.access_token, lifeMs: parsed.expires_in * 1000 };
}

/** The OpenID provider of CSC-1: oidc-provider, configured for what docs/interfaces.md says and for nothing more. */
import type { Configuration, Grant, JWK, KoaContextWithOIDC, Provider } from 'oidc-provider';
import { InvalidTarget } from 'oidc-provider/lib/helpers/errors.js';
import { base as basePolicy } from 'oidc-provider/lib/helpers/interaction_policy/index.js';
import { Provider as OidcProvider } from 'oidc-provider/lib/provider.js';
import type { Clock } from '../../sim/engine/clock.ts';
import { adapterFactory } from './adapter.ts';
import { ACR_PASSWORD, ALL_SCOPES, RESOURCES, SERVER_RESOURCE } from './config.ts';
import { errorPage } from './pages.ts';
import type { SessionStore } from './session-store.ts';
import type { UserDirectory } from './users.ts';

export interface ProviderOptions {
  readonly issuer: string;
  readonly clientId: string;
  readonly redirectUris: readonly string[];
  readonly users: UserDirectory;
  readonly store: SessionStore;
  readonly signing: readonly JWK[];
  readonly cookieSecret: string;
  /** Seconds. */
  readonly tokenLifetime: number;
  /** Time that access tokens are dated by; the provider's own records are dated by the machine's. */
  readonly clock: Clock;
}

const MINUTE = 60;
const DAY = 86_400;

/** Where the login form of an interaction is. */
export const loginPath = (uid: string): string => `/login/${uid}`;

export function createProvider(options: ProviderOptions): Provider {
  const { issuer, clientId, redirectUris, users, store, signing, cookieSecret, tokenLifetime, clock } = options;
  const policy = basePolicy();
  // The operator's own client asks its user for no consent, and a native one would be asked each time.
  policy.remove('consent');

  const configuration: Configuration = {
    adapter: adapterFactory(store),
    jwks: { keys: [...signing] },
    // OpenID Connect Core 3.1.2.1: GET and POST; the provider wants cookies that go with a POST from elsewhere for it.
    enableHttpPostMethods: true,
    cookies: { keys: [cookieSecret], long: { signed: true, sameSite: 'none' }, short: { signed: true } },
    // RFC 6749 4.1.3, TS 33.180 B.2.1: what stood in the authorization request stands in the token request too.
    allowOmittingSingleRegisteredRedirectUri: false,
    clients: [
      {
        client_id: clientId,
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        redirect_uris: [...redirectUris],
        response_types: ['code'],
        grant_types: ['authorization_code', 'refresh_token'],
        id_token_signed_response_alg: 'ES256',
      },
    ],
    responseTypes: ['code'],
    scopes: [...ALL_SCOPES],
    acrValues: [ACR_PASSWORD],
    claims: { openid: ['sub', 'mcptt_id'], acr: null, auth_time: null },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    clientBasedCORS: () => false,
    clientAuthMethods: ['none'],
    enabledJWA: {
      idTokenSigningAlgValues: ['ES256'],
      userinfoSigningAlgValues: ['ES256'],
      requestObjectSigningAlgValues: ['ES256'],
    },
    ttl: {
      AccessToken: tokenLifetime,
      AuthorizationCode: MINUTE,
      IdToken: tokenLifetime,
      RefreshToken: 14 * DAY,
      Interaction: 10 * MINUTE,
      Session: 14 * DAY,
      Grant: 14 * DAY,
    },
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      dPoP: { enabled: false },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      resourceIndicators: {
        enabled: true,
        defaultResource,
        getResourceServerInfo: (_ctx, resource) => {
          const scopes = RESOURCES[resource];
          if (scopes === undefined) throw new InvalidTarget();
          return {
            audience: resource,
            scope: scopes.join(' '),
            accessTokenFormat: 'jwt',
            accessTokenTTL: tokenLifetime,
            jwt: { sign: { alg: 'ES256' } },
          };
        },
      },
    },
    formats: {
      customizers: {
        jwt: (_ctx, _token, { payload }) => {
          if (payload === undefined) return;
          const now = Math.floor(clock.now() / 1000);
          payload.iat = now;
          payload.exp = now + tokenLifetime;
        },
      },
    },
    interactions: { policy, url: (_ctx, { uid }) => loginPath(uid) },
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    findAccount: (_ctx, userName) => {
      const user = users.find(userName);
      return user && { accountId: userName, claims: () => Promise.resolve({ sub: userName, mcptt_id: user.mcpttId }) };
    },
    extraTokenClaims: (_ctx, token) => {
      const user = 'accountId' in token && token.accountId !== undefined ? users.find(token.accountId) : undefined;
      return user && { mcptt_id: user.mcpttId };
    },
    loadExistingGrant: (ctx) => grantFor(ctx, users),
    renderError: (ctx, out) => {
      ctx.type = 'html';
      ctx.body = errorPage(out.error, out.error_description);
    },
  };
  return new OidcProvider(issuer, configuration);
}

/**
 * A client that names no resource asks for both; its token is then the MCPTT server's, and it names the KMS when it wants that
 * one. Several at the token endpoint are refused (one token, one audience).
 */
function defaultResource(
  ctx: KoaContextWithOIDC,
  _client: unknown,
  oneOf?: readonly string[],
): string | readonly string[] {
  if (oneOf === undefined) return Object.keys(RESOURCES);
  const named = ctx.oidc.body?.resource !== undefined;
  return !named && oneOf.includes(SERVER_RESOURCE) ? SERVER_RESOURCE : oneOf;
}

/** The grant of this login: what it has been asked for up to now, as far as the user may have it. */
async function grantFor(ctx: KoaContextWithOIDC, users: UserDirectory): Promise<Grant | undefined> {
  const { session, client, provider, params } = ctx.oidc;
  if (session?.accountId === undefined || client === undefined) return undefined;
  const user = users.find(session.accountId);
  if (user === undefined) return undefined;
  const held = session.grantIdFor(client.clientId);
  const existing = held === undefined ? undefined : await provider.Grant.find(held);
  const grant = existing ?? new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  const asked = typeof params?.scope === 'string' ? params.scope.split(' ') : [];
  const allowed = users.allowedScopes(user, asked);
  grant.addOIDCScope(allowed.join(' '));
  for (const resource of [params?.resource ?? []].flat() as string[]) {
    const scopes = allowed.filter((scope) => RESOURCES[resource]?.includes(scope));
    grant.addResourceScope(resource, scopes.join(' '));
  }
  await grant.save();
  return grant;
}

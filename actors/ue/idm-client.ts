/**
 * The UE's side of step 3a: OpenID Connect login with authorization code and PKCE (RFC 7636), then one access token for
 * the MCPTT server and one for the KMS by resource indicators (RFC 8707). Protocol by openid-client.
 *
 *     discovery ─> authorization request ─> login form ─> redirect with code
 *               ─> token request (code, MCPTT server) ─> token request (refresh token, KMS)
 */
import { decodeJwt } from 'jose';
import * as oidc from 'openid-client';
import { Agent, fetch as undiciFetch } from 'undici';
import type { JsonObject } from '../../sim/control/actor.ts';
import { recordingFetch } from '../../sim/trace/http.ts';
import type { Report } from '../../sim/trace/record.ts';
import { IDLE_TIMEOUT } from '../messages/kms/https.ts';
import { IdmClientError } from './idm-client-error.ts';
import type { IdmPort, LoggedIn } from './ports.ts';
import { type Fetch, logInByForm } from './user-agent.ts';

export { IdmClientError, type IdmClientErrorCode } from './idm-client-error.ts';

export interface IdmClientOptions {
  /** Issuer of the IdM, https. */
  readonly issuer: string;
  readonly clientId: string;
  readonly redirectUri?: string;
  readonly scopes?: readonly string[];
  /** PEM: the CA that the IdM's certificate must come from. */
  readonly ca: string;
  readonly report: Report;
  /** For each request, milliseconds. */
  readonly timeout?: number;
}

/** Deviations of a login, for scenarios about the IdM's refusals. */
export interface LoginDeviations {
  readonly wrongPassword?: boolean;
  /** PKCE: the verifier of another challenge. */
  readonly wrongVerifier?: boolean;
  /** PKCE: no challenge in the authorization request, or the verifier itself for one (RFC 7636 4.2). */
  readonly pkce?: 'none' | 'plain';
  /** The user agent is to be sent there. */
  readonly redirectUri?: string;
  /** The code is exchanged, and then once more; `detail.revoked` of the error says whether that ended the grant. */
  readonly reuseCode?: boolean;
  readonly scopes?: readonly string[];
}

export interface IdmLogin extends LoggedIn {
  /** Claims of the ID token, checked. */
  readonly idToken: JsonObject;
  /** Gets both access tokens afresh; `mcpttToken` and `kmsToken` are the new ones afterwards. */
  refresh(): Promise<void>;
}

export interface IdmClient extends IdmPort {
  /** Step 3a. @throws IdmClientError */
  logIn(userName: string, password: string, deviations?: LoginDeviations): Promise<IdmLogin>;
  /** Ends every connection. */
  close(): Promise<void>;
}

/** docs/interfaces.md, CSC-1. */
export const DEFAULT_REDIRECT_URI = 'example.mcptt.client:/signed-in';
const DEFAULT_SCOPES = ['openid', '3gpp:mc:ptt_service', '3gpp:mc:ptt_key_management_service'];
const MCPTT_SERVER = 'urn:3gpp:mcptt:server';
const KMS = 'urn:3gpp:mcptt:kms';
const ACR_PASSWORD = '3gpp:acr:password';
const DEFAULT_TIMEOUT = 5_000;

type TokenResponse = oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers;

interface Tokens {
  readonly mcptt: string;
  readonly kms: string;
  /** Each use of a refresh token may bring another one. */
  readonly refresh: string;
}

export function createIdmClient(options: IdmClientOptions): IdmClient {
  const { issuer, clientId, redirectUri = DEFAULT_REDIRECT_URI, timeout = DEFAULT_TIMEOUT } = options;
  const agent = new Agent({ connect: { ca: options.ca, timeout }, keepAliveMaxTimeout: IDLE_TIMEOUT });
  const direct: Fetch = async (url, init) =>
    (await undiciFetch(url, { ...init, dispatcher: agent } as Parameters<
      typeof undiciFetch
    >[1])) as unknown as Response;
  const fetch = recordingFetch(direct, options.report, {
    interface: 'CSC-1',
    peer: 'idm',
  });
  const customFetch: oidc.CustomFetch = (url, init) => fetch(url, init as RequestInit);

  /** Each has a cache of the IdM's keys of its own, so that no rotation is missed. */
  const configure = (metadata: oidc.ServerMetadata): oidc.Configuration => {
    const config = new oidc.Configuration(metadata, clientId, { id_token_signed_response_alg: 'ES256' }, oidc.None());
    config[oidc.customFetch] = customFetch;
    config.timeout = timeout / 1000;
    oidc.enableNonRepudiationChecks(config);
    return config;
  };

  const discover = async (): Promise<oidc.ServerMetadata> => {
    const discovered = await oidc.discovery(new URL(issuer), clientId, undefined, oidc.None(), {
      [oidc.customFetch]: customFetch,
      timeout: timeout / 1000,
    });
    return discovered.serverMetadata();
  };

  const logIn = async (userName: string, password: string, deviations: LoginDeviations): Promise<IdmLogin> => {
    const metadata = await step('discovery', discover());
    const config = configure(metadata);
    const verifier = oidc.randomPKCECodeVerifier();
    const [state, nonce] = [oidc.randomState(), oidc.randomNonce()];
    const parameters = new URLSearchParams({
      redirect_uri: deviations.redirectUri ?? redirectUri,
      scope: (deviations.scopes ?? options.scopes ?? DEFAULT_SCOPES).join(' '),
      acr_values: ACR_PASSWORD,
      ...(deviations.pkce === 'none'
        ? {}
        : deviations.pkce === 'plain'
          ? { code_challenge: verifier, code_challenge_method: 'plain' }
          : { code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' }),
      state,
      nonce,
    });
    for (const resource of [MCPTT_SERVER, KMS]) parameters.append('resource', resource);
    const agentOptions = { fetch, redirectUri: deviations.redirectUri ?? redirectUri, userName, timeout };
    const typed = deviations.wrongPassword === true ? `not ${password}` : password;
    const url = oidc.buildAuthorizationUrl(config, parameters);
    const reply = await step('authorization', logInByForm(url, { ...agentOptions, password: typed }));
    if (reply.searchParams.get('state') !== state) {
      // TS 24.482: a reply with a wrong state is ignored. The user agent brings one reply, so none is left to wait for.
      throw new IdmClientError('IDM_CLIENT_NO_REPLY', 'the reply that came belongs to another authorization request');
    }

    const wrong = deviations.wrongVerifier === true;
    const exchange = (): Promise<TokenResponse> =>
      oidc.authorizationCodeGrant(
        config,
        reply,
        {
          ...(deviations.pkce === 'none' ? {} : { pkceCodeVerifier: wrong ? oidc.randomPKCECodeVerifier() : verifier }),
          expectedState: state,
          expectedNonce: nonce,
          idTokenExpected: true,
        },
        { resource: MCPTT_SERVER },
      );
    const first = await step('code exchange', exchange());
    if (deviations.reuseCode === true) await step('reuse of the code', reuse(exchange, config, first));
    let tokens = await step('KMS token', completed(config, first));
    const idToken = first.claims() as JsonObject | undefined;
    const mcpttId = idToken?.mcptt_id;
    const ofOneUser = Object.values(claimsOf(tokens)).every(({ mcptt_id }) => mcptt_id === mcpttId);
    if (idToken === undefined || typeof mcpttId !== 'string' || !ofOneUser) {
      throw new IdmClientError('IDM_CLIENT_BAD_TOKEN', 'ID token and access tokens are of different users');
    }

    const refresh = async (): Promise<void> => {
      const again = configure(metadata);
      const renewed = oidc.refreshTokenGrant(again, tokens.refresh, { resource: MCPTT_SERVER });
      tokens = await step('refresh', completed(again, await step('refresh', renewed), tokens.refresh));
    };
    let refreshing: Promise<void> | undefined;
    return {
      mcpttId,
      idToken,
      get mcpttToken() {
        return tokens.mcptt;
      },
      get kmsToken() {
        return tokens.kms;
      },
      get claims() {
        return claimsOf(tokens);
      },
      refresh: () => {
        // A refresh token may be good for one use alone: whoever comes meanwhile waits for the same.
        refreshing ??= refresh().finally(() => {
          refreshing = undefined;
        });
        return refreshing;
      },
      revoke: async () => {
        const hint = { token_type_hint: 'refresh_token' };
        await step('revocation', oidc.tokenRevocation(config, tokens.refresh, hint));
      },
    };
  };

  return {
    logIn: (userName, password, deviations = {}) => logIn(userName, password, deviations),
    close: () => agent.destroy(),
  };
}

/** The second token, for the KMS, from the refresh token that came with the first. */
async function completed(config: oidc.Configuration, first: TokenResponse, held?: string): Promise<Tokens> {
  const refresh = first.refresh_token ?? held;
  if (refresh === undefined) {
    throw new IdmClientError(
      'IDM_CLIENT_BAD_TOKEN',
      'the IdM gave no refresh token, so there is no way to a KMS token',
    );
  }
  const second = await oidc.refreshTokenGrant(config, refresh, { resource: KMS });
  return { mcptt: first.access_token, kms: second.access_token, refresh: second.refresh_token ?? refresh };
}

/** Exchanges a code again; resolves when the IdM takes it, which it must not. */
async function reuse(
  exchange: () => Promise<unknown>,
  config: oidc.Configuration,
  { refresh_token: refreshToken }: TokenResponse,
): Promise<void> {
  try {
    await exchange();
  } catch (error) {
    const refusal = clientError('reuse of the code', error);
    const alive =
      refreshToken !== undefined &&
      (await oidc.refreshTokenGrant(config, refreshToken, { resource: KMS }).then(
        () => true,
        () => false,
      ));
    throw new IdmClientError(refusal.code, refusal.message, { ...refusal.detail, revoked: !alive }, { cause: error });
  }
}

function claimsOf({ mcptt, kms }: Tokens): LoggedIn['claims'] {
  try {
    return { mcptt: decodeJwt(mcptt) as JsonObject, kms: decodeJwt(kms) as JsonObject };
  } catch (error) {
    throw new IdmClientError('IDM_CLIENT_BAD_TOKEN', 'an access token is no JWT', {}, { cause: error });
  }
}

/** One step of the login; whatever goes wrong in it becomes an {@link IdmClientError} that names it. */
async function step<T>(name: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw clientError(name, error);
  }
}

function clientError(name: string, error: unknown): IdmClientError {
  if (error instanceof IdmClientError) return error;
  const causes = chain(error);
  if (error instanceof oidc.ResponseBodyError) {
    const detail = { error: error.error, httpStatus: error.status };
    return new IdmClientError('IDM_CLIENT_REFUSED', `${name}: the IdM refused (${error.error})`, detail, {
      cause: error,
    });
  }
  if (error instanceof oidc.AuthorizationResponseError) {
    const detail = { error: error.error };
    return new IdmClientError('IDM_CLIENT_REFUSED', `${name}: the IdM refused (${error.error})`, detail, {
      cause: error,
    });
  }
  if (causes.some((cause) => cause.name === 'TimeoutError' || cause.name === 'ConnectTimeoutError')) {
    return new IdmClientError('IDM_CLIENT_TIMEOUT', `${name}: the IdM did not answer in time`, {}, { cause: error });
  }
  if (causes.some((cause) => cause instanceof TypeError && cause.message === 'fetch failed')) {
    const reason = causes.find((cause) => 'code' in cause && typeof cause.code === 'string' && cause.code.length > 0);
    const detail = reason === undefined ? {} : { reason: String(Reflect.get(reason, 'code')) };
    return new IdmClientError('IDM_CLIENT_UNREACHABLE', `${name}: the IdM cannot be reached`, detail, { cause: error });
  }
  const code = name === 'discovery' ? 'IDM_CLIENT_DISCOVERY' : 'IDM_CLIENT_BAD_TOKEN';
  return new IdmClientError(code, `${name}: what the IdM answered cannot be used`, {}, { cause: error });
}

/** An error and its causes, outermost first. */
function chain(error: unknown): Error[] {
  const causes: Error[] = [];
  for (let next = error; next instanceof Error && causes.length < 10; next = next.cause) causes.push(next);
  return causes;
}

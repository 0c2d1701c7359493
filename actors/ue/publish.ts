/** Step 4 from the client's side: service authorization, settings and log-off by PUBLISH (TS 24.379 7.2.2, 7.2.3). */
import { type Deviation, deviateFields, deviationValue } from '../messages/deviation.ts';
import { buildMcpttInfo, type McpttInfo } from '../messages/mcptt-info.ts';
import { type MimeEntity, type MimeHeader, mediaTypeOf } from '../messages/mime.ts';
import { buildMultipart } from '../messages/multipart.ts';
import { buildPocSettings } from '../messages/poc-settings.ts';
import { ACCEPT_CONTACT, P_PREFERRED_SERVICE, PUBLISH_FOREVER } from '../messages/sip-headers.ts';
import { parseUserProfile, USER_PROFILE_INDEX, USER_PROFILE_TYPE } from '../messages/user-profile.ts';
import { UeError } from './errors.ts';
import { deviateToken } from './jwt-deviation.ts';
import type { McpttClient } from './mcptt-client.ts';
import { openFromServer, type SealingContext, sendSealed } from './sealing.ts';
import type { SipRequest, SipResponse } from './sip/user-agent.ts';

export interface PublishContext extends SealingContext {
  /** Public service identity of the participating MCPTT function. */
  readonly psi: string;
  readonly instanceId: string;
  /** Sends a request by the Service-Route. */
  readonly send: (request: SipRequest) => Promise<SipResponse>;
}

/**
 * Publishes: with a token the first time, as a settings refresh afterwards unless a deviation brings a token.
 * @returns the accepted answer
 * @throws UeError `UE_REQUEST_REFUSED`, `UE_BODY_REFUSED`, `UE_NO_KEY`
 */
export async function publish(
  client: McpttClient,
  deviations: readonly Deviation[],
  context: PublishContext,
): Promise<SipResponse> {
  const token = deviateToken(deviations, client.login.mcpttToken, {
    kms: client.login.kmsToken,
    ofUser: (user) => context.clientOf(user).login.mcpttToken,
  });
  const info: McpttInfo = { 'mcptt-access-token': token, 'mcptt-client-id': client.clientId };
  const response = await exchange(client, info, PUBLISH_FOREVER, deviations, context);
  const body = response.entity();
  if (body === undefined)
    throw new UeError('UE_BODY_REFUSED', 'the 200 to the PUBLISH has no body; the profile was expected', {
      status: response.status,
    });
  const { entity } = await openFromServer(body, 'authorisation', [client], context.ceks);
  if (mediaTypeOf(entity).type !== USER_PROFILE_TYPE) {
    throw new UeError('UE_BODY_REFUSED', `the 200 to the PUBLISH holds no ${USER_PROFILE_TYPE}`, {
      status: response.status,
    });
  }
  client.bind({ etag: response.header('SIP-ETag') ?? '', profile: parseUserProfile(entity.content) });
  return response;
}

/** Removes the settings and with them the binding (TS 24.379 7.2.1A). @throws as {@link publish} */
export async function publishLogOff(
  client: McpttClient,
  deviations: readonly Deviation[],
  context: PublishContext,
): Promise<SipResponse> {
  const info: McpttInfo = { 'mcptt-request-uri': client.mcpttId, 'mcptt-client-id': client.clientId };
  return exchange(client, info, 0, deviations, context);
}

async function exchange(
  client: McpttClient,
  info: McpttInfo,
  expires: number,
  deviations: readonly Deviation[],
  context: PublishContext,
): Promise<SipResponse> {
  const headers: MimeHeader[] = [
    ['Event', 'poc-settings'],
    ['Expires', String(expires)],
    ['P-Preferred-Service', P_PREFERRED_SERVICE],
    ...ACCEPT_CONTACT.map((value): MimeHeader => ['Accept-Contact', value]),
    ...(client.binding === undefined ? [] : [['SIP-If-Match', client.binding.etag] as MimeHeader]),
  ];
  const response = await sendSealed(
    client,
    innerEntity(info, deviations, context),
    'authorisation',
    deviations,
    context,
    async (body) => {
      const answer = await context.send({ method: 'PUBLISH', requestUri: context.psi, headers, body, deviations });
      if (answer.status === 493) throw refusal('PUBLISH', answer);
      return answer;
    },
  );
  if (response.status === 412 && client.binding !== undefined && expires > 0 && !namesEntityTag(deviations)) {
    // RFC 3903 4.1: the server has forgotten the publication, so the client publishes anew, without an entity-tag.
    client.unbind();
    return exchange(client, info, expires, deviations, context);
  }
  if (response.status >= 300) throw refusal('PUBLISH', response);
  return response;
}

const namesEntityTag = (deviations: readonly Deviation[]): boolean =>
  deviations.some(({ at, path }) => at === 'sip' && path.toLowerCase() === 'sip-if-match');

/** The default inner entity with the deviations at `mcptt-info`, `poc-settings` and the parts that `inner` removes. */
function innerEntity(info: McpttInfo, deviations: readonly Deviation[], context: PublishContext): MimeEntity {
  const settings = { entity: context.instanceId, 'answer-mode': 'automatic', 'user-profile-index': USER_PROFILE_INDEX };
  const parts = [
    { name: 'mcptt-info', build: () => buildMcpttInfo(deviateFields(deviations, 'mcptt-info', info)) },
    { name: 'poc-settings', build: () => buildPocSettings(deviateFields(deviations, 'poc-settings', settings)) },
  ].filter(({ name }) => deviationValue(deviations, 'inner', name) === undefined);
  return buildMultipart(parts.map(({ build }) => build()));
}

/** The error for a request that the network refused; its detail says how. */
export function refusal(what: string, { status, reason, warning }: SipResponse): UeError {
  const text = `${what} was refused: ${status} ${reason}${warning === undefined ? '' : ` ("${warning}")`}`;
  return new UeError(status === 408 ? 'UE_TIMEOUT' : 'UE_REQUEST_REFUSED', text, {
    status,
    ...(warning === undefined ? {} : { warning }),
  });
}

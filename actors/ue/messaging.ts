/** MESSAGE between MCPTT users (7.x: requests under protection after step 4), both directions. */
import type { IncomingMessageRequest } from 'sip.js/lib/core/index.js';
import type { Clock } from '../../sim/engine/clock.ts';
import { type Deviation, deviateFields } from '../messages/deviation.ts';
import { buildMcpttInfo, MCPTT_INFO_TYPE, type McpttInfo, parseMcpttInfo } from '../messages/mcptt-info.ts';
import { type MimeEntity, mediaTypeOf, mimeEntity } from '../messages/mime.ts';
import { buildMultipart, leavesOf } from '../messages/multipart.ts';
import type { Service } from '../messages/service-protection.ts';
import {
  ACCEPT_CONTACT,
  formatWarning,
  identityKey,
  P_PREFERRED_SERVICE,
  undecipherableText,
} from '../messages/sip-headers.ts';
import type { CekKeyStore } from '../security/cek/key-store.ts';
import { UeError } from './errors.ts';
import type { McpttClient } from './mcptt-client.ts';
import { refusal } from './publish.ts';
import { inClear, openFromServer, type SealingContext, sendSealed } from './sealing.ts';
import { receivedSip, type SipRequest, type SipResponse } from './sip/user-agent.ts';

export interface MessagingContext extends SealingContext {
  readonly psi: string;
  readonly send: (request: SipRequest) => Promise<SipResponse>;
}

/** Header fields of a client's request towards the participating function (TS 24.379 11.1.1.2.1). */
export const ORIGINATING_HEADERS: readonly (readonly [string, string])[] = [
  ['P-Preferred-Service', P_PREFERRED_SERVICE],
  ...ACCEPT_CONTACT.map((value): readonly [string, string] => ['Accept-Contact', value]),
];

/** Sends a text to another user. @throws UeError `UE_REQUEST_REFUSED`, `UE_NO_KEY` */
export async function sendMessage(
  client: McpttClient,
  to: string,
  text: string,
  deviations: readonly Deviation[],
  context: MessagingContext,
): Promise<SipResponse> {
  const info: McpttInfo = {
    'mcptt-request-uri': to,
    'mcptt-calling-user-id': client.mcpttId,
    'mcptt-client-id': client.clientId,
  };
  const inner = buildMultipart([
    buildMcpttInfo(deviateFields(deviations, 'mcptt-info', info)),
    mimeEntity('text/plain; charset=utf-8', text, [['Content-Transfer-Encoding', '8bit']]),
  ]);
  return sendSealed(client, inner, 'messaging', deviations, context, async (body) => {
    const response = await context.send({
      method: 'MESSAGE',
      requestUri: context.psi,
      headers: ORIGINATING_HEADERS,
      body,
      deviations,
    });
    if (response.status >= 300) throw refusal('MESSAGE', response);
    return response;
  });
}

export interface ReceivingContext {
  readonly clients: () => readonly McpttClient[];
  readonly ceks: () => CekKeyStore;
  readonly clock: Clock;
}

/** Takes a MESSAGE from the server, answers it, and puts the text into the inbox of the user whose key opened it. */
export async function receiveMessage(request: IncomingMessageRequest, context: ReceivingContext): Promise<void> {
  try {
    const body = receivedSip(request.message).entity();
    const { info, content, client, keyId } = await openForUser(body, 'messaging', context);
    const text = content.find((part) => mediaTypeOf(part).type === 'text/plain');
    if (text === undefined) throw new UeError('UE_BODY_REFUSED', 'the MESSAGE holds no text', { why: 'malformed' });
    client.arrived({
      from: info['mcptt-calling-user-id'] ?? '',
      text: Buffer.from(text.content).toString('utf8'),
      keyId,
      at: context.clock.now(),
    });
    request.accept();
  } catch (error) {
    request.reject(rejectionOf(error));
  }
}

export interface ForUser {
  readonly client: McpttClient;
  readonly info: McpttInfo;
  readonly content: readonly MimeEntity[];
  readonly keyId: string | undefined;
}

/** Opens what the server sent and finds whose it is. @throws UeError `UE_BODY_REFUSED` and parsing errors */
export async function openForUser(
  body: MimeEntity | undefined,
  service: Service,
  context: ReceivingContext,
): Promise<ForUser> {
  const clients = context.clients();
  if (body === undefined)
    throw new UeError('UE_BODY_REFUSED', 'a body was expected and there is none', { why: 'missing' });
  const { entity, cek } = await openFromServer(body, service, clients, context.ceks());
  const leaves = leavesOf(entity);
  const infoPart = leaves.find((leaf) => mediaTypeOf(leaf).type === MCPTT_INFO_TYPE);
  if (infoPart === undefined) throw new UeError('UE_BODY_REFUSED', 'the body has no mcptt-info', { why: 'malformed' });
  const info = parseMcpttInfo(infoPart.content);
  const named = cek?.userUri ?? info['mcptt-request-uri'] ?? '';
  const client = clients.find(
    ({ loggedIn }) => loggedIn !== undefined && identityKey(loggedIn.mcpttId) === identityKey(named),
  );
  if (client === undefined)
    throw new UeError('UE_BODY_REFUSED', 'the body is for no user of this UE', { why: 'of another user' });
  // Another user of this UE may be without protection; that lets nobody write to this one in clear.
  if (cek === undefined && !client.usesInClear(service)) throw inClear();
  return { client, info, content: leaves.filter((leaf) => leaf !== infoPart), keyId: cek?.keyId };
}

/** The answer to a request whose body is refused: 493 where a key is the matter, 400 where the form is. */
export function rejectionOf(error: unknown): { statusCode: number; extraHeaders?: string[] } {
  if (!(error instanceof UeError) || error.code !== 'UE_BODY_REFUSED') return { statusCode: 400 };
  const { why, keyId } = error.detail;
  if (why === 'malformed' || why === 'missing') return { statusCode: 400 };
  if (why === 'in clear') return { statusCode: 403 };
  const reason = why === 'unknown' || why === 'retired' || why === 'of another user' ? why : 'cannot be opened';
  const text = undecipherableText(typeof keyId === 'string' ? keyId : undefined, reason);
  return { statusCode: 493, extraHeaders: [`Warning: ${formatWarning('ue.invalid', text)}`] };
}

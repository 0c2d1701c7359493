/**
 * A MESSAGE from one authorized user to another: opened with the sender's CEK, sealed with the receiver's, so that the
 * SIP core carries both and reads neither.
 *
 *     UE A ──{to B, text} under CEK A──▶ core ──▶ server ──{from A, text} under CEK B──▶ core ──▶ UE B
 */
import { buildMcpttInfo } from '../messages/mcptt-info.ts';
import { buildMultipart } from '../messages/multipart.ts';
import { ICSI_MCPTT } from '../messages/sip-headers.ts';
import type { Binding } from './bindings.ts';
import type { Directory } from './directory.ts';
import { Refusal } from './errors.ts';
import type { SipAnswer, SipRequest, SipServer } from './sip-server.ts';

export interface MessagingOptions {
  readonly directory: Directory;
  readonly sip: () => SipServer;
  readonly psi: string;
}

/** Carries a MESSAGE over; the sender gets 200 as soon as one of the receiver's clients took it. @throws Refusal */
export async function handleMessage(request: SipRequest, options: MessagingOptions): Promise<void> {
  const { caller, info, content } = await options.directory.authorised(request, 'messaging');
  const receivers = await options.directory.reach(info['mcptt-request-uri']);
  const inner = buildMultipart([
    buildMcpttInfo({ 'mcptt-request-uri': receivers[0]!.mcpttId, 'mcptt-calling-user-id': caller.mcpttId }),
    ...content,
  ]);
  const send = async (receiver: Binding): Promise<SipAnswer> =>
    options.sip().request({
      method: 'MESSAGE',
      uri: receiver.impu,
      headers: terminatingHeaders(options.psi, receiver),
      body: await options.directory.sealFor(receiver, inner, 'messaging'),
    });
  const deliver = async (receiver: Binding): Promise<void> => {
    const answer = await send(receiver);
    const again = options.directory.canBeResealed(receiver, answer.header('Warning'));
    const { status } = again ? await send(receiver) : answer;
    if (status >= 300) throw new Refusal(status);
  };
  await Promise.any(receivers.map(deliver)).catch(({ errors }: AggregateError) => {
    throw bestOf(errors);
  });
  await request.answer(200);
}

/** Of what kept each client from taking a message: the refusal of the lowest status, or else the first failure (RFC 3261 16.7). */
function bestOf(errors: readonly unknown[]): unknown {
  const refusals = errors.filter((error) => error instanceof Refusal);
  return refusals.sort((a, b) => a.status - b.status)[0] ?? errors[0];
}

/** Header fields of what the server sends towards a UE: public identities and the service, nothing of MCPTT (CONF-1). */
export function terminatingHeaders(psi: string, receiver: Binding): Record<string, string> {
  return {
    From: `<${psi}>`,
    To: `<${receiver.impu}>`,
    'P-Asserted-Identity': `<${psi}>`,
    'P-Asserted-Service': ICSI_MCPTT,
  };
}

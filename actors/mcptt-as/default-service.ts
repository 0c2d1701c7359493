/**
 * STEP-1N and STEP-2S: what a UE gets that is registered but whose user is not authorized yet. Policy names the methods;
 * everything else, emergency calls too, is refused until step 4.
 */
import { WARNINGS } from '../messages/sip-headers.ts';
import { type Admission, refuseExtensions } from './admission.ts';
import type { McpttPolicy } from './config.ts';
import { Refusal } from './errors.ts';
import type { SipRequest } from './sip-server.ts';

export const ALLOWED_METHODS = 'INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, PUBLISH, REGISTER';

/** Whether policy lets a registered UE use the method before service authorization. */
export const isDefaultService = (policy: McpttPolicy, method: string): boolean =>
  policy.defaultServices.includes(method);

/** Answers an OPTIONS (RFC 3261 11.2). @throws Refusal 403 without a registration, or when policy does not offer it */
export async function handleOptions(request: SipRequest, admission: Admission, policy: McpttPolicy): Promise<void> {
  await admission.sender(request);
  if (!isDefaultService(policy, 'OPTIONS')) throw new Refusal(403, WARNINGS.notYetAuthorised);
  refuseExtensions(request);
  await request.answer(200, { headers: { Allow: ALLOWED_METHODS, Accept: 'application/pkcs7-mime, multipart/mixed' } });
}

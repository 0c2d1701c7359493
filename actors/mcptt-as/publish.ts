/**
 * Step 4: service authorization by PUBLISH (TS 24.379 7.3.3), settings refresh (7.3.4) and log-off (7.3.5).
 *
 *     UE                         SIP core                    MCPTT server
 *      │ PUBLISH {token, client id, settings} under CEK         │
 *      │──────────────────────────▶│───────────────────────────▶│ core asserts IMPU
 *      │                           │                            │ Key ID → CEK → open → token → user = CEK's user
 *      │                           │                            │ bind user, client id, SIP session, IMPU
 *      │◀──────────────────────────│◀───────────────────────────│ 200, SIP-ETag, {profile} under CEK
 */
import type { Clock } from '../../sim/engine/clock.ts';
import type { BodyProtection } from '../messages/body-protection.ts';
import { MCPTT_INFO_TYPE, type McpttInfo, parseMcpttInfo } from '../messages/mcptt-info.ts';
import { type MimeEntity, mediaTypeOf } from '../messages/mime.ts';
import { leavesOf } from '../messages/multipart.ts';
import { POC_SETTINGS_TYPE, parsePocSettings } from '../messages/poc-settings.ts';
import { mustBeProtected } from '../messages/service-protection.ts';
import { PUBLISH_FOREVER, sameIdentity, WARNINGS } from '../messages/sip-headers.ts';
import { buildUserProfile, type UserProfile } from '../messages/user-profile.ts';
import type { CekKeyStore } from '../security/cek/key-store.ts';
import { type Admission, refuseExtensions, type Sender } from './admission.ts';
import { type Binding, type BindingStore, newEtag, nextBindingState } from './bindings.ts';
import type { McpttPolicy } from './config.ts';
import { Refusal } from './errors.ts';
import type { Life } from './life.ts';
import { type OpenedRequest, openRequest, refusalOf } from './protected-request.ts';
import type { SipRequest } from './sip-server.ts';

/** What an access token says, once every check on it has passed. */
export interface ServiceToken {
  readonly mcpttId: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

export interface PublishOptions {
  /** Public service identity of the participating function: what is published elsewhere is not for this server. */
  readonly psi: string;
  readonly admission: Admission;
  readonly bindings: BindingStore;
  readonly life: Life;
  readonly ceks: () => CekKeyStore;
  readonly protection: () => BodyProtection;
  readonly policy: () => McpttPolicy;
  /** Rejects for any token that must not be accepted. */
  readonly verifyToken: (token: string) => Promise<ServiceToken>;
  readonly userOf: (mcpttId: string) => UserProfile | undefined;
  readonly clock: Clock;
}

/** What the inner entity of a PUBLISH says. */
interface Publication {
  readonly info: McpttInfo;
  readonly answerMode: string | undefined;
}

/** Answers one PUBLISH. @throws Refusal */
export async function handlePublish(request: SipRequest, options: PublishOptions): Promise<void> {
  const sender = await options.admission.sender(request);
  refuseExtensions(request);
  // RFC 3903 6, steps 1 to 4: whose resource, event package, entity-tag, expiry; RFC 6665 8.2.1 for Allow-Events.
  if (!sameIdentity(request.uri, options.psi)) throw new Refusal(404);
  if (request.header('Event')?.split(';')[0]?.trim() !== 'poc-settings') {
    throw new Refusal(489, undefined, { 'Allow-Events': 'poc-settings' });
  }
  const previous = await publicationOf(request, sender, options);
  const expires = expiresOf(request);
  const opened = await openRequest(request, sender, {
    protection: options.protection(),
    ceks: options.ceks(),
    required: mustBeProtected(options.policy().protection, 'authorisation'),
  });
  const publication = readPublication(opened.entity, expires);
  const authorised = await authorise(publication, opened, sender, previous, options);
  const until = expires === PUBLISH_FOREVER ? {} : { publishedUntil: options.clock.now() + expires * 1000 };
  const binding: Binding = { ...authorised, ...until };
  if (expires === 0) {
    await logOff(request, binding, previous, options);
    return;
  }
  const body = await profileBody(binding, opened, options);
  await options.life.bound(binding);
  await request.answer(200, { headers: { 'SIP-ETag': binding.etag, Expires: String(expires) }, body });
}

/** The binding that SIP-If-Match refers to. @throws Refusal 412 when there is none of this sender (RFC 3903 6) */
async function publicationOf(
  request: SipRequest,
  sender: Sender,
  options: PublishOptions,
): Promise<Binding | undefined> {
  const etag = request.header('SIP-If-Match')?.trim();
  if (etag === undefined) return undefined;
  const binding = await options.bindings.byEtag(etag);
  const own = sender.sessions.some(({ sipSession }) => sipSession === binding?.sipSession);
  if (binding === undefined || !own) throw new Refusal(412);
  return binding;
}

function expiresOf(request: SipRequest): number {
  const value = request.header('Expires') ?? String(PUBLISH_FOREVER);
  if (!/^\d{1,10}$/.test(value.trim())) throw new Refusal(400, '399 malformed Expires');
  return Math.min(Number(value), PUBLISH_FOREVER);
}

/**
 * One mcptt-info and one poc-settings (TS 24.379 7.3.3, 7.3.4); what only logs off needs no settings (7.3.5).
 * @throws Refusal 400
 */
function readPublication(entity: MimeEntity, expires: number): Publication {
  try {
    const leaves = leavesOf(entity);
    const infos = leaves.filter((leaf) => mediaTypeOf(leaf).type === MCPTT_INFO_TYPE);
    const settings = leaves.filter((leaf) => mediaTypeOf(leaf).type === POC_SETTINGS_TYPE);
    if (infos.length !== 1 || settings.length > 1 || (settings.length === 0 && expires > 0))
      throw new Refusal(400, '399 not one mcptt-info and one poc-settings');
    return {
      info: parseMcpttInfo(infos[0]!.content),
      answerMode: settings[0] === undefined ? undefined : parsePocSettings(settings[0].content)['answer-mode'],
    };
  } catch (error) {
    throw refusalOf(error, undefined);
  }
}

/** The binding that the PUBLISH makes or keeps. @throws Refusal 403, 404 */
async function authorise(
  { info, answerMode }: Publication,
  { cek }: OpenedRequest,
  sender: Sender,
  previous: Binding | undefined,
  options: PublishOptions,
): Promise<Binding> {
  const refused = new Refusal(403, WARNINGS.authorisationFailed);
  const token = info['mcptt-access-token'];
  const clientId = info['mcptt-client-id'];
  const user = token === undefined ? refreshed(info, previous) : await verified(token, options);
  if (user === undefined || clientId === undefined) throw refused;
  // MULTI-1: the key says whose body this is; a token of anybody else in it is somebody else's token.
  if (cek !== undefined && (!sameIdentity(cek.userUri, user.mcpttId) || cek.clientId !== clientId)) throw refused;
  if (previous !== undefined && (previous.mcpttId !== user.mcpttId || previous.clientId !== clientId)) throw refused;
  if (options.userOf(user.mcpttId) === undefined) throw new Refusal(404, WARNINGS.userUnknown);
  const session = sender.sessions.find(({ sipSession }) => sipSession === cek?.sipSession) ?? sender.sessions.at(-1)!;
  return {
    mcpttId: user.mcpttId,
    clientId,
    sipSession: session.sipSession,
    // Requests to the user go there, so it is a SIP URI: a UE may assert the tel URI of its implicit registration set.
    impu:
      session.impus.find((impu) => /^sips?:/i.test(impu) && sender.impus.some((own) => sameIdentity(own, impu))) ??
      session.impus[0]!,
    state: previous === undefined ? 'bound' : nextBindingState(previous.state, 'refreshed'),
    etag: newEtag(),
    boundAt: previous?.boundAt ?? options.clock.now(),
    tokenExpiresAt: user.expiresAt,
    answerMode: answerMode ?? previous?.answerMode ?? 'manual',
  };
}

/** TS 24.379 7.2.3: a refresh of settings names the user instead of carrying a token. */
function refreshed(info: McpttInfo, previous: Binding | undefined): ServiceToken | undefined {
  const named = info['mcptt-request-uri'];
  if (previous === undefined || named === undefined || !sameIdentity(named, previous.mcpttId)) return undefined;
  return { mcpttId: previous.mcpttId, expiresAt: previous.tokenExpiresAt };
}

async function verified(token: string, options: PublishOptions): Promise<ServiceToken | undefined> {
  try {
    return await options.verifyToken(token);
  } catch {
    // Which check failed is not told: TS 24.379 4.4 has one warning for all, and an attacker learns nothing from it.
    return undefined;
  }
}

/** TS 24.379 7.3.5: removes the settings, the binding and the user's key; the answer needs no body. */
async function logOff(
  request: SipRequest,
  binding: Binding,
  previous: Binding | undefined,
  options: PublishOptions,
): Promise<void> {
  const [current] = (await options.bindings.byUser(binding.mcpttId)).filter(
    (own) => own.sipSession === binding.sipSession && own.clientId === binding.clientId,
  );
  const ended = previous ?? current;
  if (ended === undefined) throw new Refusal(412);
  await options.life.userEnded(ended, 'logged-off');
  await request.answer(200, { headers: { 'SIP-ETag': binding.etag, Expires: '0' } });
}

/** The service authorization profile, protected as the request was (S1-3: nobody between the ends sees a byte of it). */
async function profileBody(binding: Binding, { cek }: OpenedRequest, options: PublishOptions): Promise<MimeEntity> {
  const profile = buildUserProfile(options.userOf(binding.mcpttId)!);
  if (cek === undefined) return profile;
  const { mcpttId: userUri, sipSession, clientId } = binding;
  try {
    return await options.protection().protect(profile, options.ceks().sealing({ userUri, sipSession, clientId }));
  } catch (error) {
    // The key ended while the request was looked at, or is not confirmed yet: nothing is bound that cannot be served.
    throw refusalOf(error, cek.keyId);
  }
}

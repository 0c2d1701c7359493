/** Finds who may be served and where a user is to be reached, for requests that come after step 4. */
import type { BodyProtection } from '../messages/body-protection.ts';
import { MCPTT_INFO_TYPE, type McpttInfo, parseMcpttInfo } from '../messages/mcptt-info.ts';
import { type MimeEntity, mediaTypeOf } from '../messages/mime.ts';
import { leavesOf } from '../messages/multipart.ts';
import { goesInClear, mustBeProtected, needsCek, type Service } from '../messages/service-protection.ts';
import { identityKey, retiredKeyId, WARNINGS, warningText } from '../messages/sip-headers.ts';
import type { UserProfile } from '../messages/user-profile.ts';
import type { CekKeyStore } from '../security/cek/key-store.ts';
import { type Admission, refuseExtensions } from './admission.ts';
import type { Binding, BindingStore } from './bindings.ts';
import type { McpttPolicy } from './config.ts';
import { Refusal } from './errors.ts';
import { openRequest, refusalOf } from './protected-request.ts';
import type { SessionStore } from './sessions.ts';
import type { SipMessage, SipRequest } from './sip-server.ts';

export interface DirectoryOptions {
  readonly admission: Admission;
  readonly sessions: SessionStore;
  readonly bindings: BindingStore;
  readonly ceks: () => CekKeyStore;
  readonly protection: () => BodyProtection;
  readonly policy: () => McpttPolicy;
  readonly userOf: (mcpttId: string) => UserProfile | undefined;
}

/** A request of an authorized user, opened. */
export interface AuthorisedRequest {
  readonly caller: Binding;
  readonly info: McpttInfo;
  /** Everything of the inner entity but mcptt-info: text, SDP. */
  readonly content: readonly MimeEntity[];
}

export class Directory {
  readonly #options: DirectoryOptions;

  constructor(options: DirectoryOptions) {
    this.#options = options;
  }

  /**
   * The authorized user that a request comes from.
   * @throws Refusal 403 before step 4, and as openRequest
   */
  async authorised(request: SipRequest, service: Service): Promise<AuthorisedRequest> {
    const sender = await this.#options.admission.sender(request);
    const bound = (
      await Promise.all(sender.sessions.map((session) => this.#options.bindings.bySession(session.sipSession)))
    ).flat();
    // STEP-1N comes before everything else: who is not bound is not told whether a body could be opened.
    if (bound.length === 0) throw new Refusal(403, WARNINGS.notYetAuthorised);
    refuseExtensions(request);
    const opened = await openRequest(request, sender, this.#opening(service));
    const { info, content } = readContent(opened.entity);
    const named = opened.cek?.userUri ?? info['mcptt-calling-user-id'];
    const caller = bound.find(
      (binding) =>
        named !== undefined &&
        identityKey(binding.mcpttId) === identityKey(named) &&
        (opened.cek === undefined || opened.cek.clientId === binding.clientId),
    );
    if (caller === undefined) throw new Refusal(403, WARNINGS.notYetAuthorised);
    return { caller, info, content };
  }

  /**
   * Opens a later message of a party that is already known (a response, a re-INVITE).
   * @throws Refusal as openRequest, and 493 when it is under a key of somebody else
   */
  async openFrom(
    party: Binding,
    message: SipMessage,
    service: Service,
  ): Promise<{ info: McpttInfo; content: readonly MimeEntity[] }> {
    const session = await this.#options.sessions.get(party.sipSession);
    const sender = { impus: [party.impu], sessions: session === undefined ? [] : [session] };
    const opened = await openRequest(message, sender, this.#opening(service));
    if (opened.cek !== undefined && identityKey(opened.cek.userUri) !== identityKey(party.mcpttId)) {
      throw new Refusal(403, WARNINGS.authorisationFailed);
    }
    return readContent(opened.entity);
  }

  /** Where a user can be reached now. @throws Refusal 404 for an unknown user, 480 for one without service */
  async reach(mcpttId: string | undefined): Promise<Binding[]> {
    if (mcpttId === undefined) throw new Refusal(400, '399 mcptt-request-uri is missing');
    const user = this.#options.userOf(mcpttId);
    if (user === undefined) throw new Refusal(404, WARNINGS.userUnknown);
    const bindings = await this.#options.bindings.byUser(user.mcpttId);
    if (bindings.length === 0) throw new Refusal(480, WARNINGS.notReachable);
    return bindings;
  }

  /** An entity as it goes to a user: under the user's own CEK, in clear only where policy does not ask for protection. */
  async sealFor(party: Binding, entity: MimeEntity, service: Service): Promise<MimeEntity> {
    const { mcpttId: userUri, sipSession, clientId } = party;
    const ceks = this.#options.ceks();
    const { protection } = this.#options.policy();
    const holdsCek = ceks.list().some((cek) => cek.userUri === userUri && cek.sipSession === sipSession);
    if (goesInClear(protection, service) || (!needsCek(protection) && !holdsCek)) return entity;
    try {
      return await this.#options.protection().protect(entity, ceks.sealing({ userUri, sipSession, clientId }));
    } catch {
      throw new Refusal(480, WARNINGS.notReachable);
    }
  }

  /**
   * Whether a client refused a body because its key had just been retired there, and another key has taken its place: then
   * the body can be sealed and sent once more, and is not lost because it was under way for longer than the overlap.
   * @param warning Warning header field of the client's answer
   */
  canBeResealed(party: Binding, warning: string | undefined): boolean {
    const keyId = retiredKeyId(warningText(warning));
    if (keyId === undefined) return false;
    const { mcpttId, sipSession, clientId } = party;
    return this.#options
      .ceks()
      .list()
      .some(
        (cek) =>
          cek.state === 'current' &&
          cek.keyId !== keyId &&
          cek.userUri === mcpttId &&
          cek.sipSession === sipSession &&
          cek.clientId === clientId,
      );
  }

  #opening(service: Service): { protection: BodyProtection; ceks: CekKeyStore; required: boolean } {
    const { protection, ceks, policy } = this.#options;
    return { protection: protection(), ceks: ceks(), required: mustBeProtected(policy().protection, service) };
  }
}

function readContent(entity: MimeEntity): { info: McpttInfo; content: readonly MimeEntity[] } {
  try {
    const leaves = leavesOf(entity);
    const infos = leaves.filter((leaf) => mediaTypeOf(leaf).type === MCPTT_INFO_TYPE);
    if (infos.length !== 1) throw new Refusal(400, '399 not exactly one mcptt-info');
    return { info: parseMcpttInfo(infos[0]!.content), content: leaves.filter((leaf) => leaf !== infos[0]) };
  } catch (error) {
    throw refusalOf(error, undefined);
  }
}

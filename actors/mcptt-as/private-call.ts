/**
 * A private call (TS 24.379 11.1.1) through the server, which is the called end towards A and the calling end towards B
 * and opens and seals every body in between. There is no media: SDP is carried, not used.
 *
 *     UE A                      MCPTT server                      UE B
 *      │ INVITE {to B, offer} CEK A │                               │
 *      │───────────────────────────▶│ INVITE {from A, offer} CEK B  │
 *      │                            │──────────────────────────────▶│
 *      │                            │        200 {answer} CEK B, ACK│
 *      │        200 {answer} CEK A  │◀──────────────────────────────│
 *      │◀───────────────────────────│                               │
 *      │ ACK, re-INVITE, BYE        │  the same towards the other   │
 */
import { randomUUID } from 'node:crypto';
import type { Log } from '../../sim/control/actor.ts';
import { buildMcpttInfo, type McpttInfo } from '../messages/mcptt-info.ts';
import type { MimeEntity } from '../messages/mime.ts';
import { buildMultipart } from '../messages/multipart.ts';
import { WARNINGS } from '../messages/sip-headers.ts';
import type { UserProfile } from '../messages/user-profile.ts';
import type { Binding } from './bindings.ts';
import type { Directory } from './directory.ts';
import type { NativeRequest, NativeResponse, SipDialog } from './drachtio.ts';
import { Refusal } from './errors.ts';
import { terminatingHeaders } from './messaging.ts';
import type { SipAnswer, SipRequest, SipServer } from './sip-server.ts';

export interface PrivateCallOptions {
  readonly directory: Directory;
  readonly sip: () => SipServer;
  readonly psi: string;
  readonly userOf: (mcpttId: string) => UserProfile | undefined;
  readonly log: Log;
}

interface Leg {
  readonly party: Binding;
  readonly dialog: SipDialog;
}

export interface CallView {
  readonly id: string;
  readonly caller: string;
  readonly called: string;
}

export class PrivateCalls {
  readonly #options: PrivateCallOptions;
  readonly #calls = new Map<string, readonly [Leg, Leg]>();

  constructor(options: PrivateCallOptions) {
    this.#options = options;
  }

  /** Calls that go on. */
  list(): CallView[] {
    return [...this.#calls].map(([id, [a, b]]) => ({ id, caller: a.party.mcpttId, called: b.party.mcpttId }));
  }

  /** Sets a call up. @throws Refusal */
  async invite(request: SipRequest): Promise<void> {
    const { directory, psi, userOf } = this.#options;
    let cancelled = false;
    let cancel = (): void => undefined;
    request.native.req.on('cancel', () => {
      cancelled = true;
      cancel();
    });
    const { caller, info, content } = await directory.authorised(request, 'private-call');
    if (userOf(caller.mcpttId)?.privateCall !== true) throw new Refusal(403, WARNINGS.privateCallNotAllowed);
    // A user with several clients is called at the one that was authorized last.
    const called = (await directory.reach(info['mcptt-request-uri'])).at(-1)!;
    if (userOf(called.mcpttId)?.privateCall !== true) throw new Refusal(403, WARNINGS.privateCallNotAllowed);
    const inner = innerOf(called, caller, content);
    const place = async (): Promise<{ dialog: SipDialog; answer: SipAnswer }> => {
      const body = await directory.sealFor(called, inner, 'private-call');
      const outgoing = { method: 'INVITE', uri: called.impu, headers: terminatingHeaders(psi, called), body };
      return this.#options.sip().call(outgoing, (cancelLeg) => {
        cancel = cancelLeg;
        if (cancelled) cancelLeg();
      });
    };
    const { dialog, answer } = await place()
      .catch((error: unknown) => {
        if (cancelled || !directory.canBeResealed(called, warningOf(error))) throw error;
        return place();
      })
      .catch(refusedByCalled);
    const far: Leg = { party: called, dialog };
    try {
      if (cancelled) throw new Refusal(487);
      const back = await this.#carry(far, answer, caller);
      const near: Leg = { party: caller, dialog: await this.#options.sip().accept(request, { body: back }) };
      this.#join(near, far);
    } catch (error) {
      await this.#hangUp(dialog);
      throw error;
    }
  }

  /** Ends every call in which a binding takes part: its user has no service any more. */
  endOf(binding: Binding): void {
    for (const [id, legs] of this.#calls) {
      if (legs.some(({ party }) => isSameBinding(party, binding))) this.#end(id, legs);
    }
  }

  /** Hangs up everything. */
  async stop(): Promise<void> {
    const all = [...this.#calls.values()].flat();
    this.#calls.clear();
    await Promise.all(all.map(({ dialog }) => this.#hangUp(dialog)));
  }

  #join(near: Leg, far: Leg): void {
    const id = randomUUID();
    this.#calls.set(id, [near, far]);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.dialog.on('modify', (req, res) => this.#modify(from, to, req, res));
      from.dialog.on('destroy', () => {
        if (this.#calls.delete(id)) void this.#hangUp(to.dialog);
      });
    }
  }

  /** A re-INVITE of one end goes to the other, and the answer comes back. */
  #modify(from: Leg, to: Leg, req: NativeRequest, res: NativeResponse): void {
    const sip = this.#options.sip();
    const request = sip.incoming(req, res);
    const carry = async (): Promise<void> => {
      const { directory } = this.#options;
      const { content } = await directory.openFrom(from.party, request, 'private-call');
      const inner = innerOf(to.party, from.party, content);
      let answer = await sip.reinvite(to.dialog, await directory.sealFor(to.party, inner, 'private-call'));
      if (directory.canBeResealed(to.party, answer.header('Warning'))) {
        answer = await sip.reinvite(to.dialog, await directory.sealFor(to.party, inner, 'private-call'));
      }
      if (answer.status >= 300) throw new Refusal(answer.status);
      await request.answer(200, { body: await this.#carry(to, answer, from.party) });
    };
    carry()
      .catch((error: unknown) => sip.refuse(request, error))
      .catch((error: unknown) => this.#options.log.warn({ error: String(error) }, 'a re-INVITE could not be answered'));
  }

  /** Opens what one end sent and seals it for the other. */
  async #carry(from: Leg, message: SipAnswer | SipRequest, to: Binding): Promise<MimeEntity> {
    const { content } = await this.#options.directory.openFrom(from.party, message, 'private-call');
    return this.#options.directory.sealFor(to, innerOf(to, from.party, content), 'private-call');
  }

  #end(id: string, legs: readonly Leg[]): void {
    this.#calls.delete(id);
    for (const { dialog } of legs) void this.#hangUp(dialog);
  }

  async #hangUp(dialog: SipDialog): Promise<void> {
    try {
      await dialog.destroy();
    } catch (error) {
      this.#options.log.debug({ error: String(error) }, 'a BYE was not answered');
    }
  }
}

const isSameBinding = (a: Binding, b: Binding): boolean =>
  a.mcpttId === b.mcpttId && a.clientId === b.clientId && a.sipSession === b.sipSession;

const innerOf = (to: Binding, from: Binding, content: readonly MimeEntity[]): MimeEntity => {
  const info: McpttInfo = {
    'session-type': 'private',
    'mcptt-request-uri': to.mcpttId,
    'mcptt-calling-user-id': from.mcpttId,
  };
  return buildMultipart([buildMcpttInfo(info), ...content]);
};

/** Warning header field of the response that drachtio-srf's SipError stands for. */
const warningOf = (error: unknown): string | undefined =>
  (error as { res?: NativeResponse }).res?.get('Warning') ?? undefined;

/** The called end's refusal is the caller's answer; what has no status is a failure of the way there. */
function refusedByCalled(error: unknown): never {
  if (error instanceof Refusal) throw error;
  const { status } = error as { status?: unknown };
  throw new Refusal(typeof status === 'number' && status >= 300 ? status : 500);
}

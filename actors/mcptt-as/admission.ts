/**
 * Who a request comes from, as far as SIP can say, and whether its sender may be served at all. The SIP core is trusted
 * to assert public user identities (TS 24.229 5.4.3.2); nobody else is.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { uriOf, WARNINGS } from '../messages/sip-headers.ts';
import { Refusal } from './errors.ts';
import type { SessionStore, SipSession } from './sessions.ts';
import type { SipRequest } from './sip-server.ts';

/** @throws Refusal 420 when the request insists on an extension, of which the server has none (RFC 3261 8.2.2.3) */
export function refuseExtensions(request: SipRequest): void {
  const required = request.values('Require');
  if (required.length > 0) throw new Refusal(420, undefined, { Unsupported: required.join(', ') });
}

export interface Sender {
  /** The asserted public user identities of the sender. */
  readonly impus: readonly string[];
  /** Sessions that one of them is registered with, the newest last. */
  readonly sessions: readonly SipSession[];
}

export class Admission {
  readonly #sessions: SessionStore;
  #trusted: ReadonlySet<string> = new Set();

  constructor(sessions: SessionStore) {
    this.#sessions = sessions;
  }

  /** Names the hosts whose requests are the SIP core's. */
  async trust(hosts: readonly string[]): Promise<void> {
    const addresses = await Promise.all(
      hosts.map(async (host) =>
        isIP(host) ? [host] : (await lookup(host, { all: true })).map(({ address }) => address),
      ),
    );
    this.#trusted = new Set(addresses.flat());
  }

  /** @throws Refusal 403 when the request does not come from the SIP core */
  fromCore(request: SipRequest): void {
    // An IPv4 peer of a dual-stack listener shows as an IPv4-mapped address (RFC 4291 2.5.5.2).
    const address = request.sourceAddress.replace(/^::ffff:/, '');
    if (!this.#trusted.has(address)) throw new Refusal(403, '399 only the SIP core may send this');
  }

  /** The sender of a request that came through the core. @throws Refusal 403 without a registration of its identity */
  async sender(request: SipRequest): Promise<Sender> {
    this.fromCore(request);
    const impus = request.values('P-Asserted-Identity').map(uriOf);
    const found = await Promise.all(impus.map((impu) => this.#sessions.byImpu(impu)));
    const sessions = [...new Map(found.flat().map((session) => [session.sipSession, session])).values()];
    if (sessions.length === 0) throw new Refusal(403, WARNINGS.notRegistered);
    return { impus, sessions };
  }
}

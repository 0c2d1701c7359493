import type { Clock } from '../clock.ts';
import type { Address, SipMessage, SipUri } from '../message/index.ts';
import { type Flow, isReliable, type TransportLayer } from '../transport/index.ts';

/** Expiry of a registration that names none (RFC 3261 10.3 leaves it to the registrar; drachtio-server assumes an hour). */
const DEFAULT_EXPIRES_S = 3600;

/**
 * The connections behind contacts: after a 2xx to REGISTER or SUBSCRIBE over a connection, requests to that contact's
 * `user@host` use the connection for as long as was granted (contract, section 6; compare RFC 5626 5.3).
 */
export class FlowCache {
  readonly #clock: Clock;
  readonly #transport: TransportLayer;
  readonly #flows = new Map<string, { flowId: string; until: number }>();
  /** Contacts per flow, so that a closed connection takes its own along. */
  readonly #contacts = new Map<string, Set<string>>();

  constructor(clock: Clock, transport: TransportLayer) {
    this.#clock = clock;
    this.#transport = transport;
  }

  get size(): number {
    return this.#flows.size;
  }

  /** Takes note of a request that came over `flow` and of the 2xx that it got. */
  learn(request: SipMessage, response: SipMessage, flow: Flow): void {
    const kept = isReliable(flow.protocol);
    // Nothing to keep, and nothing to forget: most that goes over UDP.
    if (!kept && this.size === 0) return;
    const asked = request.contacts;
    if (asked === '*') return;
    for (const contact of asked) {
      const seconds = kept ? granted(contact, request, response) : 0;
      if (seconds > 0) this.#set(contact.parsedUri, flow, seconds);
      else this.#delete(keyOf(contact.parsedUri));
    }
  }

  /** The open connection behind a URI's user and host. */
  find(uri: SipUri): Flow | undefined {
    const key = keyOf(uri);
    const entry = this.#flows.get(key);
    if (entry === undefined) return undefined;
    const flow = entry.until > this.#clock.now() ? this.#transport.flow(entry.flowId) : undefined;
    if (flow === undefined) this.#delete(key);
    return flow;
  }

  /** A connection has closed. */
  forget(flow: Flow): void {
    for (const key of this.#contacts.get(flow.id) ?? []) this.#flows.delete(key);
    this.#contacts.delete(flow.id);
  }

  #set(uri: SipUri, flow: Flow, seconds: number): void {
    const key = keyOf(uri);
    if (this.#flows.get(key)?.flowId !== flow.id) this.#delete(key);
    this.#flows.set(key, { flowId: flow.id, until: this.#clock.now() + seconds * 1000 });
    const keys = this.#contacts.get(flow.id);
    if (keys === undefined) this.#contacts.set(flow.id, new Set([key]));
    else keys.add(key);
  }

  #delete(key: string): void {
    const entry = this.#flows.get(key);
    if (entry === undefined) return;
    this.#flows.delete(key);
    const keys = this.#contacts.get(entry.flowId);
    keys?.delete(key);
    if (keys?.size === 0) this.#contacts.delete(entry.flowId);
  }
}

/** `user@host`, as drachtio-server has it. A contact without a user is told from its neighbours by the port. */
function keyOf(uri: SipUri): string {
  return uri.user === undefined ? `${uri.host}:${uri.port ?? ''}` : `${uri.user}@${uri.host}`;
}

/** RFC 3261 10.3 step 8: the response's Contact says what was granted, else its Expires, else what was asked for. */
function granted(asked: Address, request: SipMessage, response: SipMessage): number {
  const contacts = response.contacts;
  const key = keyOf(asked.parsedUri);
  const own = contacts === '*' ? undefined : contacts.find((contact) => keyOf(contact.parsedUri) === key);
  const candidates = [
    own?.params.get('expires'),
    response.get('expires'),
    asked.params.get('expires'),
    request.get('expires'),
  ];
  for (const candidate of candidates) {
    if (candidate !== undefined && /^\d+$/.test(candidate)) return Number(candidate);
  }
  return DEFAULT_EXPIRES_S;
}

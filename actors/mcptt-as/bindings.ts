/**
 * MCPTT bindings: which user is served on which SIP session (pCR step 4: user, SIP session URI and IMPU; with the MCPTT
 * client id because several users may share a session, requirement MULTI-1).
 *
 *     (service authorization accepted)
 *          │
 *          ▼   refreshed (SIP-If-Match)
 *        bound ──────────────────────┐
 *          │  ▲──────────────────────┘
 *          │ logged-off, deregistered, expired, revoked, token-expired
 *          ▼
 *        ended
 */
import { randomBytes } from 'node:crypto';
import { McpttAsError } from './errors.ts';

export type BindingState = 'bound' | 'ended';
export type BindingEnd = 'logged-off' | 'deregistered' | 'expired' | 'revoked' | 'token-expired';
export type BindingEvent = 'refreshed' | BindingEnd;

const NEXT: Readonly<Record<BindingState, Partial<Record<BindingEvent, BindingState>>>> = {
  bound: {
    refreshed: 'bound',
    'logged-off': 'ended',
    deregistered: 'ended',
    expired: 'ended',
    revoked: 'ended',
    'token-expired': 'ended',
  },
  ended: {},
};

/** The only place where a binding changes its state. @throws McpttAsError `MCPTT_AS_BINDING_STATE` */
export function nextBindingState(state: BindingState, event: BindingEvent): BindingState {
  const next = NEXT[state][event];
  if (next === undefined)
    throw new McpttAsError('MCPTT_AS_BINDING_STATE', `a binding that is ${state} cannot be ${event}`);
  return next;
}

export interface Binding {
  readonly mcpttId: string;
  /** `urn:uuid:` of the MCPTT client. */
  readonly clientId: string;
  readonly sipSession: string;
  /** The public user identity that the SIP core asserted. */
  readonly impu: string;
  readonly state: BindingState;
  /** SIP-ETag of the published settings (RFC 3903). */
  readonly etag: string;
  /** Milliseconds since 1970. */
  readonly boundAt: number;
  readonly tokenExpiresAt: number;
  /** When what was published runs out (RFC 3903 4.4); absent: with the registration (TS 24.379 7.2.1A). */
  readonly publishedUntil?: number;
  /** answer-mode of poc-settings. */
  readonly answerMode: string;
}

/** Narrow and asynchronous, so that replicas can share bindings. Holds bindings that are `bound` only. */
export interface BindingStore {
  /** Adds, or replaces the one of the same user, client and session. */
  put(binding: Binding): Promise<void>;
  byEtag(etag: string): Promise<Binding | undefined>;
  byUser(mcpttId: string): Promise<Binding[]>;
  bySession(sipSession: string): Promise<Binding[]>;
  delete(binding: Binding): Promise<void>;
  all(): Promise<Binding[]>;
}

export function memoryBindingStore(): BindingStore {
  const bindings = new Map<string, Binding>();
  const keyOf = (b: Binding): string => JSON.stringify([b.mcpttId, b.clientId, b.sipSession]);
  const where = (test: (b: Binding) => boolean): Promise<Binding[]> =>
    Promise.resolve([...bindings.values()].filter(test));
  return {
    put: (binding) => Promise.resolve(void bindings.set(keyOf(binding), binding)),
    byEtag: (etag) => Promise.resolve([...bindings.values()].find((b) => b.etag === etag)),
    byUser: (mcpttId) => where((b) => b.mcpttId === mcpttId),
    bySession: (sipSession) => where((b) => b.sipSession === sipSession),
    delete: (binding) => Promise.resolve(void bindings.delete(keyOf(binding))),
    all: () => where(() => true),
  };
}

/** A new entity-tag: unguessable, because it names a publication in clear (RFC 3903 4.1). */
export const newEtag = (): string => randomBytes(12).toString('hex');

/**
 * SIP sessions: what third-party REGISTERs have told the server. A session is named by the Contact URI that the UE
 * registered; it is what a CEK is made for and what a user is bound to.
 */
import { identityKey } from '../messages/sip-headers.ts';

export interface SipSession {
  /** The UE's Contact URI, character for character. */
  readonly sipSession: string;
  /** Public user identities that were registered with it; the first is the one that requests to the UE are sent to. */
  readonly impus: readonly string[];
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** Narrow and asynchronous, so that replicas can share sessions. */
export interface SessionStore {
  put(session: SipSession): Promise<void>;
  get(sipSession: string): Promise<SipSession | undefined>;
  byImpu(impu: string): Promise<SipSession[]>;
  delete(sipSession: string): Promise<void>;
  all(): Promise<SipSession[]>;
}

export function memorySessionStore(): SessionStore {
  const sessions = new Map<string, SipSession>();
  return {
    put: (session) => Promise.resolve(void sessions.set(session.sipSession, session)),
    get: (sipSession) => Promise.resolve(sessions.get(sipSession)),
    byImpu: (impu) => {
      const key = identityKey(impu);
      return Promise.resolve(
        [...sessions.values()].filter(({ impus }) => impus.some((own) => identityKey(own) === key)),
      );
    },
    delete: (sipSession) => Promise.resolve(void sessions.delete(sipSession)),
    all: () => Promise.resolve([...sessions.values()]),
  };
}

import type { Subscriber } from '../messages/subscriber.ts';

/** Configuration of the SIP core; plain JSON. Whether the control port is drachtio-server's or the embedded engine's, it cannot tell. */
export interface SipCoreConfig {
  /** The SIP engine's control port. */
  readonly drachtio: { readonly host: string; readonly port: number; readonly secret: string };
  /** Home network domain: realm of challenges, host of REGISTER's Request-URI. */
  readonly homeDomain: string;
  readonly subscribers: readonly Subscriber[];
  /**
   * Which of the engine's listeners is SIP-2, as the engine names it: `tcp/host:port`, `tls/host:port` or `udp/host:port`.
   * Requests that arrive there come from the trust domain, all others from UEs. Default: the last TCP listener.
   */
  readonly sip2?: string;
  /** Host names of application servers and where they are, as DNS would tell; else the `mcptt-as` peer is meant. */
  readonly hosts?: Readonly<Record<string, string>>;
  /** Host name in the `wss` and `ws` endpoints, instead of the address that the engine names (containers, certificates). */
  readonly publicHost?: string;
  /** Shortest registration in seconds, default 60; shorter ones get 423 with Min-Expires. */
  readonly minExpires?: number;
  /** Longest registration in seconds, default 600000 (TS 24.229 5.1.1.2.1). */
  readonly maxExpires?: number;
  /** How long a challenge may be answered, in ms; default 240000 (reg-await-auth, TS 24.229 7.8). */
  readonly challengeMs?: number;
  /** How long the engine's control port is waited for, in ms; default 5000. */
  readonly connectMs?: number;
}

export type SipCoreErrorCode =
  | 'SIP_CORE_NO_ENGINE'
  | 'SIP_CORE_NO_LISTENER'
  | 'SIP_CORE_NO_APPLICATION_SERVER'
  | 'SIP_CORE_UNKNOWN_IMPU'
  | 'SIP_CORE_NOT_REGISTERED'
  | 'SIP_CORE_BAD_ARGUMENT'
  | 'SIP_CORE_BAD_STATE'
  | 'SIP_CORE_SEND_FAILED';

export class SipCoreError extends Error {
  readonly code: SipCoreErrorCode;

  constructor(code: SipCoreErrorCode, message: string) {
    super(message);
    this.name = 'SipCoreError';
    this.code = code;
  }
}

/**
 * One record per message on an interface of the figure. Actors report what they send and receive through the
 * {@link Report} function that they are handed; everything else (numbering, time, redaction, merging the two ends into
 * one arrow) happens on this side of it.
 */

/** Interfaces by their names in the pCR; `LTE` stands for step 0. */
export type InterfaceName = 'LTE' | 'SIP-1' | 'SIP-2' | 'CSC-1' | 'HTTP-1';

export type Protocol = 'nas' | 'sip' | 'http';

/** What an actor tells about one message, exactly as it crossed the interface. */
export interface ReportedMessage {
  readonly direction: 'sent' | 'received';
  readonly interface: InterfaceName;
  /** The actor at the other end, as far as the reporter knows: `ue`, `sip-core`, `mcptt-as`, `idm`, `kms`, `access-network`; `stranger` when its certificate names none of them. */
  readonly peer: string;
  readonly protocol: Protocol;
  /**
   * The whole message. SIP: as on the wire. NAS: the PDU. HTTP: start line, header lines, blank line and body,
   * put together again from what the HTTP library gave.
   */
  readonly bytes: Uint8Array;
  /**
   * Equal on the sender's and the receiver's record of one message. HTTP: the span id of the `traceparent` header plus
   * `/request` or `/response`. Leave it out for SIP and NAS: it is derived from the bytes.
   */
  readonly correlation?: string;
}

export type Report = (message: ReportedMessage) => void;

/** A reported message with who, when and which, secrets already taken out (see redact.ts). JSON-safe but for `bytes`. */
export interface MessageRecord extends ReportedMessage {
  readonly actor: string;
  /** Counts up per actor, so that an actor's own order is never in doubt. */
  readonly sequence: number;
  /** The actor's wall clock, milliseconds since 1970. */
  readonly time: number;
  /** Kinds of secret that were found in the bytes and replaced; a finding on a SIP interface is a leak. */
  readonly redacted: readonly string[];
}

/**
 * The leaders that the engine sends, token by token as the contract has them. Token 0, the message id, is put before
 * each by the connection.
 */

/** What a leader tells of a message on the wire. */
export interface WireMeta {
  /** Octets of the SIP message. */
  readonly octets: number;
  /** As in a Via, any case; ws and wss show as tcp (section 4). */
  readonly protocol: string;
  readonly address: string;
  readonly port: number;
  /** Milliseconds since 1970. */
  readonly time: number;
}

let lastTime = -1;
let lastText = '';

/** `HH:MM:SS.uuuuuu`, UTC. The clock counts milliseconds: the last three digits are 0. */
export function timeToken(time: number): string {
  if (time !== lastTime) {
    lastTime = time;
    lastText = `${new Date(time).toISOString().slice(11, 23)}000`;
  }
  return lastText;
}

/** `udp`, `tcp` or `tls`. */
export function protocolToken(protocol: string): string {
  switch (protocol) {
    case 'udp':
    case 'tcp':
    case 'tls':
      return protocol;
    default:
      return 'tcp';
  }
}

/** Section 4, a new request outside any dialog: tokens 10 and 11 say where it arrived. */
export function newRequestLeader(
  meta: WireMeta,
  transactionId: string,
  localAddress: string,
  localPort: number,
): string {
  return `sip|network|${meta.octets}|${protocolToken(meta.protocol)}|${meta.address}|${meta.port}|${timeToken(meta.time)}|${transactionId}||${localAddress}|${localPort}|`;
}

/** Sections 4, 6 and 8: a request inside a dialog, a CANCEL, an ACK, or a response. */
export function networkLeader(meta: WireMeta, transactionId: string, dialogId: string, withProtocol = true): string {
  const protocol = withProtocol ? protocolToken(meta.protocol) : '';
  return `sip|network|${meta.octets}|${protocol}|${meta.address}|${meta.port}|${timeToken(meta.time)}|${transactionId}|${dialogId}|`;
}

/** Section 9: a request that the stack sent by itself. */
export function unsolicitedLeader(meta: WireMeta, dialogId: string): string {
  return `sip|application|${meta.octets}|${protocolToken(meta.protocol)}|${meta.address}|${meta.port}|${timeToken(meta.time)}|unsolicited|${dialogId}|`;
}

/** Section 5: a response of the application went out. Token 6 is empty but for INVITE; token 11 is the dialog id. */
export function responseSentLeader(
  messageId: string,
  meta: WireMeta,
  transactionId: string,
  dialogId: string,
  withProtocol: boolean,
): string {
  const protocol = withProtocol ? protocolToken(meta.protocol) : '';
  return `response|${messageId}|OK|application|${meta.octets}|${protocol}|${meta.address}|${meta.port}|${timeToken(meta.time)}|${transactionId}|${dialogId}||Msg sent:|`;
}

/** Section 6: a request of the application went out. No dialog id here. */
export function requestSentLeader(messageId: string, meta: WireMeta, transactionId: string): string {
  return `response|${messageId}|OK|application|${meta.octets}|${protocolToken(meta.protocol)}|${meta.address}|${meta.port}|${timeToken(meta.time)}|${transactionId}|Msg sent:|`;
}

/** Section 10: a final response that a proxy transaction received; token 12 keeps the application's callback. */
export function proxyResponseLeader(messageId: string, meta: WireMeta): string {
  return `response|${messageId}|OK|network|${meta.octets}|${protocolToken(meta.protocol)}|${meta.address}|${meta.port}|${timeToken(meta.time)}|||continue`;
}

/** `OK` without more, or with tokens of its own. */
export function okLeader(messageId: string, ...rest: readonly string[]): string {
  return rest.length === 0 ? `response|${messageId}|OK` : `response|${messageId}|OK|${rest.join('|')}`;
}

/** Refused, with the reason that drachtio-server gives. */
export function nokLeader(messageId: string, reason: string): string {
  return `response|${messageId}|NOK|${reason}`;
}

/** drachtio-server says `NO` where the request itself is at fault. */
export function noLeader(messageId: string, reason: string): string {
  return `response|${messageId}|NO|${reason}`;
}

import { type SipMessage, splitParams, trimSpace, type Via } from '../message/index.ts';
import { plainAddress } from './addresses.ts';
import { defaultPort, type Flow, isReliable, type Target } from './flow.ts';

/**
 * Writes into a request's top Via where it really came from: `received` if that is not its sent-by host (RFC 3261
 * 18.2.1), and `received` and the value of `rport` if the client asked with an empty one (RFC 3581 4). What the client
 * itself claimed is removed. The top Via must be well-formed.
 */
export function stampSource(request: SipMessage, flow: Flow): void {
  const via = request.via!;
  const asked = via.rport !== undefined;
  const elsewhere = via.host !== flow.remoteAddress && plainAddress(via.host) !== flow.remoteAddress;
  if (!asked && !elsewhere && via.received === undefined) return;
  let value = withoutSource(request.getAll('via')[0]!);
  if (asked) value += `;rport=${flow.remotePort}`;
  if (asked || elsewhere) value += `;received=${flow.remoteAddress}`;
  request.replaceTop('via', value);
}

/** A Via value without the parameters that tell its source; the others stay as they are written. */
function withoutSource(via: string): string {
  const [sentBy, ...params] = splitParams(via);
  const kept = params.filter((param) => !/^[ \t]*(?:received|rport)[ \t]*(?:=|$)/i.test(param));
  return trimSpace([sentBy, ...kept].join(';'));
}

/** The top Via of a message that may be anything; undefined if there is none, or it is malformed. */
export function topVia(message: SipMessage): Via | undefined {
  try {
    return message.via;
  } catch {
    return undefined;
  }
}

/** Where a response is sent, and where else if that fails. */
export interface ResponseRoute {
  readonly first: Flow | Target;
  readonly otherwise: Target | undefined;
}

/**
 * The way of a response: the request's flow and the top Via say, of the request and of the response alike (RFC 3261 18.2.2,
 * RFC 3581 4). Back over the connection, and if it is gone over another one to received and the port of sent-by; over UDP to
 * maddr and that port, else to received and rport. Without a usable Via the source is all there is to answer to.
 */
export function responseRoute(message: SipMessage, flow: Flow): ResponseRoute {
  const via = topVia(message);
  if (via === undefined) return { first: flow, otherwise: undefined };
  const { protocol, localAddress, localPort } = flow;
  const sentBy = via.port ?? defaultPort(protocol);
  const received = via.received ?? via.host;
  if (isReliable(protocol)) {
    // WebSocket clients listen nowhere.
    const listens = protocol === 'tcp' || protocol === 'tls';
    return { first: flow, otherwise: listens ? { protocol, host: received, port: sentBy } : undefined };
  }
  const maddr = via.params.get('maddr');
  const host = maddr ?? received;
  const port = maddr === undefined && typeof via.rport === 'number' ? via.rport : sentBy;
  const back = host === flow.remoteAddress && port === flow.remotePort;
  // RFC 3581 4: from where the request came to.
  return { first: back ? flow : { protocol, host, port, localAddress, localPort }, otherwise: undefined };
}

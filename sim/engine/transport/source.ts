import { parseVia, type SipMessage, splitParams, trimSpace, type Via } from '../message/index.ts';
import { plainAddress } from './addresses.ts';
import type { Flow } from './flow.ts';

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
  const line = message.lines.find(({ name }) => name === 'via');
  return line === undefined ? undefined : parseVia(line.top);
}

/**
 * Where a response goes when its request's connection is gone, or over UDP: the top Via says, of the response and of the
 * request alike (RFC 3261 18.2.2, RFC 3581 4). A `maddr` has the port of sent-by.
 */
export function viaTarget(message: SipMessage): { host: string; port: number | undefined } | undefined {
  const via = topVia(message);
  if (via === undefined) return undefined;
  const maddr = via.params.get('maddr');
  if (maddr !== undefined) return { host: maddr, port: via.port };
  return { host: via.received ?? via.host, port: typeof via.rport === 'number' ? via.rport : via.port };
}

import { parseRouteUri, routeUri, targetOf } from '../core/addresses.ts';
import type { Core } from '../core/core.ts';
import { viaValue } from '../core/requests.ts';
import { type HeaderLine, parseUri, type SipMessage, type SipUri } from '../message/index.ts';
import type { BoundPoint, Flow, Target } from '../transport/index.ts';

/** Where a request that is being proxied goes next, and through which listen point. */
export interface Hop {
  readonly to: Flow | Target;
  readonly point: BoundPoint;
}

/** The next hop for a URI: the connection behind a registered contact, else its address (16.6 step 7). */
export function hopOf(core: Core, uri: SipUri | undefined): Hop | undefined {
  if (uri === undefined) return undefined;
  const to = core.flows.find(uri) ?? targetOf(uri);
  const point = to === undefined ? undefined : core.local.pointFor(to);
  return to === undefined || point === undefined ? undefined : { to, point };
}

/** The hop of a request whose Route and Request-URI are as they shall leave. */
export function hopOfRequest(core: Core, request: SipMessage): Hop | undefined {
  const route = request.getAll('route')[0];
  return hopOf(core, route === undefined ? parseUri(request.requestUri) : parseRouteUri(route));
}

/** 16.6 step 6: a strict router at the top of Route gets the request addressed to itself, its target goes last. */
export function addressStrictRouter(request: SipMessage): void {
  const [first, ...rest] = request.getAll('route');
  const uri = first === undefined ? undefined : parseRouteUri(first);
  if (first === undefined || uri === undefined || uri.params.has('lr')) return;
  request.remove('route');
  for (const route of [...rest, `<${request.requestUri}>`]) request.append('route', route);
  request.requestUri = routeUri(first);
}

/** 16.6 step 3; a request of RFC 2543 may come without. */
export function decrementMaxForwards(request: SipMessage): void {
  request.setValue('max-forwards', String((request.maxForwards ?? 71) - 1));
}

/**
 * Puts this proxy into the way of what follows: Record-Route for a request that makes a dialog (16.6 step 4), Path for
 * REGISTER (RFC 3327). When the request leaves through another listen point than the one it came by, both get a
 * value, so that either side finds an address of its own kind (RFC 5658).
 */
export function stayInPath(
  core: Core,
  request: SipMessage,
  arrived: BoundPoint | undefined,
  leaving: BoundPoint,
): void {
  const header = request.method === 'REGISTER' ? 'path' : 'record-route';
  const value = (point: BoundPoint): string => `<${core.local.uri(point)};lr>`;
  const two = arrived !== undefined && core.local.uri(arrived) !== core.local.uri(leaving);
  if (two) addOnTop(request, header, value(arrived));
  addOnTop(request, header, value(leaving));
}

function addOnTop(request: SipMessage, header: string, value: string): void {
  if (request.has(header)) request.insertFirst(header, value);
  else request.append(header, value);
}

/** Header lines of the `proxy` message are added to the forwarded request, but for those that the stack writes. */
const STACK_OWNED: ReadonlySet<string> = new Set([
  'via',
  'route',
  'record-route',
  'path',
  'from',
  'to',
  'call-id',
  'cseq',
  'max-forwards',
  'content-length',
]);

/** Those lines of an application's `proxy` text that go into the forwarded request. */
export function extraLines(text: SipMessage): readonly HeaderLine[] {
  return text.lines.filter((line) => !STACK_OWNED.has(line.name) && line.value !== '');
}

export interface ForwardOptions {
  readonly target: string;
  readonly extra: readonly HeaderLine[];
  readonly remainInDialog: boolean;
  readonly branch: string;
  readonly hop: Hop;
  readonly arrived: BoundPoint | undefined;
}

/** The request as one branch sends it: 16.6 steps 1 to 8. Preloaded Routes are removed (section 10 of the contract). */
export function forwardedRequest(core: Core, request: SipMessage, options: ForwardOptions): SipMessage {
  const copy = request.clone();
  copy.remove('route');
  copy.requestUri = options.target;
  decrementMaxForwards(copy);
  if (options.remainInDialog) stayInPath(core, copy, options.arrived, options.hop.point);
  for (const { name, value } of options.extra) copy.append(name, value);
  copy.insertFirst('via', viaValue(options.hop.point, options.branch));
  return copy;
}

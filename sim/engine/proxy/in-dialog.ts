import { parseRouteUri, routeUri } from '../core/addresses.ts';
import { answer } from '../core/answer.ts';
import type { Core } from '../core/core.ts';
import { RequestPath, ResponsePath } from '../core/paths.ts';
import { viaValue } from '../core/requests.ts';
import { buildResponse, parseUri, type SipMessage } from '../message/index.ts';
import { serverKey } from '../transaction/keys.ts';
import type { Flow } from '../transport/index.ts';
import { addressStrictRouter, decrementMaxForwards, hopOfRequest } from './forwarded-request.ts';
import { ProxyOperation } from './operation.ts';

const TO_ONE = {
  remainInDialog: false,
  followRedirects: false,
  simultaneous: false,
  provisionalMs: undefined,
  finalMs: undefined,
  targets: [],
  extra: [],
} as const;

/**
 * Whether a request inside a dialog comes to us as a proxy that stays in its path: its top Route is ours, or its Request-URI
 * is what we wrote into Record-Route and a strict router put there (16.4).
 */
export function isForUsAsProxy(core: Core, request: SipMessage): boolean {
  return isOwnRoute(core, request.getAll('route')[0]) || (request.has('route') && isOwnRecordRoute(core, request));
}

function isOwnRoute(core: Core, route: string | undefined): boolean {
  const uri = route === undefined ? undefined : parseRouteUri(route);
  return uri !== undefined && core.local.isOwn(uri);
}

function isOwnRecordRoute(core: Core, request: SipMessage): boolean {
  const uri = parseUri(request.requestUri);
  return uri?.params.has('lr') === true && core.local.isOwn(uri);
}

/** Forwards a request inside a dialog of others (16.12): no application hears of it. */
export function forwardInDialog(core: Core, request: SipMessage, flow: Flow): void {
  const copy = request.clone();
  popOwnRoutes(core, copy);
  const { method } = request;
  const uri = parseUri(copy.requestUri);
  if (!copy.has('route') && uri !== undefined && core.local.isOwn(uri)) {
    // It names us as the end of a dialog that we do not have.
    if (method !== 'ACK') answer(core, request, flow, 481);
    return;
  }
  if (request.maxForwards === 0) {
    if (method !== 'ACK') answer(core, request, flow, 483);
    return;
  }
  decrementMaxForwards(copy);
  if (method === 'ACK') {
    forwardAck(core, copy);
    return;
  }
  const path = new ResponsePath(core.transport, request, flow);
  const key = serverKey(request);
  if (method === 'INVITE') {
    const transaction = core.transactions.createInviteServer(key, path);
    transaction.respond(100, buildResponse(request, 100).serialise());
    new ProxyOperation(core, request, flow, transaction, TO_ONE).startPrepared(copy);
  } else {
    const transaction = core.transactions.createNonInviteServer(key, path);
    new ProxyOperation(core, request, flow, transaction, TO_ONE).startPrepared(copy);
  }
}

/** The ACK for a 2xx belongs to no transaction of ours (16.11: forwarded statelessly). */
function forwardAck(core: Core, ack: SipMessage): void {
  const hop = hopOfRequest(core, ack);
  if (hop === undefined) return;
  addressStrictRouter(ack);
  ack.insertFirst('via', viaValue(hop.point, core.ids.branch()));
  new RequestPath(core.transport, hop.to).send(ack.serialise());
}

/** 16.4: takes our own Routes off the top, and undoes what a strict router did to the Request-URI. */
function popOwnRoutes(core: Core, request: SipMessage): void {
  if (isOwnRecordRoute(core, request)) {
    const routes = request.getAll('route');
    const last = routes.pop();
    const target = last === undefined ? undefined : parseRouteUri(last);
    if (target !== undefined) {
      request.remove('route');
      for (const route of routes) request.append('route', route);
      request.requestUri = routeUri(last!);
    }
  }
  for (const route of request.getAll('route')) {
    if (!isOwnRoute(core, route)) break;
    request.removeTop('route');
  }
}

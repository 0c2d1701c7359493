import { buildResponse, reasonPhrase, type SipMessage } from '../message/index.ts';
import { serverKey } from '../transaction/keys.ts';
import type { Flow } from '../transport/index.ts';
import type { Core } from './core.ts';
import { ResponsePath } from './paths.ts';

/** The stack's own answer to a request that no application hears of, in a server transaction of its own. */
export function answer(
  core: Core,
  request: SipMessage,
  flow: Flow,
  status: number,
  options: {
    readonly headers?: readonly (readonly [name: string, value: string])[];
    /** For a To without one; default a fresh one. */
    readonly toTag?: string;
  } = {},
): void {
  const key = serverKey(request);
  const path = new ResponsePath(core.transport, request, flow);
  const transaction =
    request.method === 'INVITE'
      ? core.transactions.createInviteServer(key, path)
      : core.transactions.createNonInviteServer(key, path);
  const response = buildResponse(request, status, reasonPhrase(status), { toTag: options.toTag ?? core.ids.tag() });
  for (const [name, value] of options.headers ?? []) response.append(name, value);
  transaction.respond(status, response.serialise());
}

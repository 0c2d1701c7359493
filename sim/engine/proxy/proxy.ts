import type { AppConnection } from '../control/connection.ts';
import { nokLeader, noLeader, okLeader, proxyResponseLeader } from '../control/leaders.ts';
import type { Core } from '../core/core.ts';
import { metaOf, receivedMeta } from '../core/incoming.ts';
import type { Uas } from '../core/uas.ts';
import { parseUri, type SipMessage } from '../message/index.ts';
import type { Flow } from '../transport/index.ts';
import type { Branch } from './branch.ts';
import { extraLines } from './forwarded-request.ts';
import { ProxyOperation } from './operation.ts';

/** The application's `proxy` message (contract, section 10). */
export class ProxyCore {
  readonly #core: Core;
  readonly #uas: Uas;

  constructor(core: Core, uas: Uas) {
    this.#core = core;
    this.#uas = uas;
  }

  /** @param tokens of the leader: `id|proxy|txn|remainInDialog|fullResponse|followRedirects|forking|provisional|final|targets…` */
  handle(app: AppConnection, tokens: readonly string[], text: SipMessage): void {
    const [messageId = '', , transactionId = '', remain, full, follow, forking, provisional = '', final = '', ...rest] =
      tokens;
    if (tokens.length < 10) {
      app.send(noLeader(messageId, 'Invalid proxy request: not enough information provided'));
      return;
    }
    const incoming = this.#uas.find(transactionId);
    // A request in a dialog is the application's own to answer.
    if (incoming === undefined || (incoming.dialog !== undefined && incoming.request.to!.tag !== undefined)) {
      app.send(nokLeader(messageId, `Unknown transaction id: ${transactionId}`));
      return;
    }
    const targets = rest.filter((target) => target !== '');
    if (targets.length === 0 || targets.some((target) => parseUri(target) === undefined)) {
      app.send(nokLeader(messageId, 'error proxying request to '));
      return;
    }
    if (incoming.request.maxForwards === 0) {
      this.#uas.refuse(incoming, 483);
      app.send(nokLeader(messageId, 'Rejected with 483 Too Many Hops due to Max-Forwards value of 0'));
      return;
    }
    this.#uas.release(incoming);
    const options = {
      remainInDialog: remain === 'remainInDialog',
      followRedirects: follow === 'followRedirects',
      simultaneous: forking === 'simultaneous',
      provisionalMs: parseTimeout(provisional),
      finalMs: parseTimeout(final),
      targets,
      extra: extraLines(text),
    };
    const observer = {
      final: (response: SipMessage, branch: Branch, flow: Flow | undefined) => {
        if (full === 'fullResponse') this.#tell(app, messageId, response, branch, flow);
      },
      done: () => app.send(okLeader(messageId, 'done')),
    };
    new ProxyOperation(this.#core, incoming.request, incoming.flow, incoming.transaction, options, observer).start();
  }

  #tell(app: AppConnection, messageId: string, response: SipMessage, branch: Branch, flow: Flow | undefined): void {
    const octets = response.serialise();
    const now = this.#core.clock.now();
    const { to } = branch.hop;
    const meta =
      flow !== undefined
        ? receivedMeta(response, flow, now)
        : 'id' in to
          ? metaOf(octets.length, to, now)
          : { octets: octets.length, protocol: to.protocol, address: to.host, port: to.port, time: now };
    app.send(proxyResponseLeader(messageId, meta), octets);
  }
}

/** `2s` or `1500ms` in milliseconds; anything else is no time-out. */
function parseTimeout(text: string): number | undefined {
  const match = /^(\d+)(ms|s)$/.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * (match[2] === 's' ? 1000 : 1);
}

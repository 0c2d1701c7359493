import type { Core } from '../core/core.ts';
import type { Uac } from '../core/uac.ts';
import type { Uas } from '../core/uas.ts';
import type { Calls } from '../dialog/calls.ts';
import { EngineError } from '../errors.ts';
import { parseMessage, SipParseError } from '../message/index.ts';
import type { ProxyCore } from '../proxy/proxy.ts';
import type { AppConnection, ConnectionEvents } from './connection.ts';
import type { Leader } from './framing.ts';
import { nokLeader, noLeader, okLeader } from './leaders.ts';
import type { Routes } from './routes.ts';

/** What the engine says it is: drachtio-srf compares it with the versions whose features it uses (section 2a). */
const VERSION = 'v0.9.10';

export interface ControllerParts {
  readonly core: Core;
  readonly routes: Routes<AppConnection>;
  readonly calls: Calls;
  readonly uas: Uas;
  readonly uac: Uac;
  readonly proxy: ProxyCore;
  readonly secret: string;
}

/** Obeys the verbs of applications: authenticate, ping, route, remove_route, sip, proxy (contract, sections 2 to 10). */
export class Controller implements ConnectionEvents {
  readonly #parts: ControllerParts;

  constructor(parts: ControllerParts) {
    this.#parts = parts;
  }

  message(app: AppConnection, { id, verb, tokens, sip }: Leader): void {
    const { routes, core } = this.#parts;
    try {
      switch (verb) {
        case 'authenticate':
          this.#authenticate(app, id, tokens);
          break;
        case 'ping':
          app.send(okLeader(id, 'pong'));
          break;
        case 'route':
          routes.add(tokens[2] ?? '', app);
          app.send(okLeader(id));
          break;
        case 'remove_route':
          this.#removeRoute(app, tokens[2] ?? '');
          app.send(okLeader(id));
          break;
        case 'sip':
          this.#sip(app, tokens, sip);
          break;
        case 'proxy':
          this.#proxy(app, tokens, sip);
          break;
        default:
          core.log('warn', `control: unknown verb "${verb.slice(0, 32)}"`);
          app.send(noLeader(id, tokens.length < 2 ? 'Invalid message format' : 'Unknown message type'));
      }
    } catch (error) {
      if (error instanceof EngineError && error.code === 'ERR_REQUEST_REFUSED') app.send(nokLeader(id, error.message));
      else if (error instanceof SipParseError) app.send(nokLeader(id, `Server error: ${error.message}`));
      else {
        // Whatever one message of one application led to must not end the process.
        core.log(
          'warn',
          `control: ${verb.slice(0, 32)} failed: ${error instanceof Error ? error.message : String(error)}`,
        );
        app.send(nokLeader(id, 'Server error: internal'));
      }
    }
  }

  closed(app: AppConnection, reason: string): void {
    this.#parts.routes.removeAll(app);
    this.#parts.uas.appGone(app);
    this.#parts.calls.appGone(app);
    this.#parts.core.log('info', `control: connection ended, ${reason}`);
  }

  #authenticate(app: AppConnection, id: string, tokens: readonly string[]): void {
    if (tokens[2] !== this.#parts.secret) {
      app.send(noLeader(id, 'incorrect secret'));
      app.end('incorrect secret');
      return;
    }
    app.authenticated = true;
    app.tags = (tokens[3] ?? '').split(',').filter((tag) => tag !== '');
    const hostports = this.#parts.core.local.hostports();
    app.send(okLeader(id, hostports, VERSION, hostports));
    app.release();
  }

  /** drachtio-server drops all verbs of the connection whichever was named (section 3). */
  #removeRoute(app: AppConnection, verb: string): void {
    if (this.#parts.core.strict) this.#parts.routes.removeAll(app);
    else this.#parts.routes.remove(verb, app);
  }

  #sip(app: AppConnection, tokens: readonly string[], sip: Buffer | undefined): void {
    const [id = '', , transactionId = '', dialogId = '', routeUri = ''] = tokens;
    const { calls, uac, uas, core } = this.#parts;
    const text = parseMessage(sip ?? Buffer.alloc(0), 'app');
    if (text instanceof SipParseError) {
      app.send(nokLeader(id, `Server error: ${text.message}`));
      return;
    }
    if (!text.isRequest) uas.respond(app, id, transactionId, text);
    else if (text.method === 'CANCEL') uac.sendCancel(app, id, transactionId, text);
    else if (dialogId !== '') calls.send(app, id, dialogId, text, routeUri);
    else {
      const callId = text.callId;
      const dialog = callId === undefined ? undefined : core.dialogs.findByCallId(callId);
      if (dialog?.established !== true) uac.sendOutsideDialog(app, id, text, routeUri);
      else calls.send(app, id, dialog.id, text, routeUri);
    }
  }

  #proxy(app: AppConnection, tokens: readonly string[], sip: Buffer | undefined): void {
    const text = parseMessage(sip ?? Buffer.from('INVITE sip:placeholder SIP/2.0\r\n\r\n'), 'app');
    if (text instanceof SipParseError) app.send(nokLeader(tokens[0] ?? '', `Server error: ${text.message}`));
    else this.#parts.proxy.handle(app, tokens, text);
  }
}

/**
 * The MCPTT server as a drachtio-srf application: what the rest of the server sees of SIP. Requests and answers are
 * reported on SIP-2 as the engine gives them (received: as they came, sent: as it put them on the wire).
 */
import Srf from 'drachtio-srf';
import type { Log } from '../../sim/control/actor.ts';
import type { Report } from '../../sim/trace/record.ts';
import type { MimeEntity } from '../messages/mime.ts';
import { entityFromSip, entityToSip } from '../messages/sip-body.ts';
import { formatWarning, splitValues } from '../messages/sip-headers.ts';
import type { EngineAddress, NativeMessage, NativeRequest, NativeResponse, NativeSrf, SipDialog } from './drachtio.ts';
import { McpttAsError, Refusal } from './errors.ts';

/** A SIP message as the server reads it. */
export interface SipMessage {
  header(name: string): string | undefined;
  /** All values of a header field, comma lists taken apart. */
  values(name: string): string[];
  /** The body; undefined when there is none. @throws MimeError */
  entity(): MimeEntity | undefined;
}

export interface SipAnswer extends SipMessage {
  readonly status: number;
  readonly reason: string;
}

export interface AnswerOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: MimeEntity | undefined;
}

export interface SipRequest extends SipMessage {
  readonly method: string;
  readonly uri: string;
  /** Address that the request came from, as the engine saw it. */
  readonly sourceAddress: string;
  /** Sends the answer; resolves once the engine has put it on the wire. */
  answer(status: number, options?: AnswerOptions): Promise<void>;
  /** drachtio-srf's own objects, for dialogs. */
  readonly native: { readonly req: NativeRequest; readonly res: NativeResponse };
}

export interface OutgoingRequest {
  readonly method: string;
  readonly uri: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: MimeEntity | undefined;
}

const CONNECT_BOUND_MS = 10_000;
/** Timer F is 32 s (RFC 3261 17.1.2.2); a little more, and the engine itself is gone. */
const ANSWER_BOUND_MS = 40_000;

export interface SipServerOptions {
  readonly engine: EngineAddress;
  readonly report: Report;
  readonly log: Log;
  readonly handlers: Readonly<Record<string, (request: SipRequest) => Promise<void>>>;
}

export class SipServer {
  readonly #options: SipServerOptions;
  readonly #srf: NativeSrf;
  /** `proto/host:port` of the engine's listeners. */
  hostports: readonly string[] = [];
  /** Next hop of every request that starts here: the SIP core. */
  #core: string | undefined;
  #stopped = false;
  /** Requests that wait for their answer; they would wait on after a stop. */
  readonly #unanswered = new Set<(error: McpttAsError) => void>();

  private constructor(options: SipServerOptions) {
    this.#options = options;
    this.#srf = new Srf() as unknown as NativeSrf;
    for (const [method, handle] of Object.entries(options.handlers)) {
      this.#srf.use(method.toLowerCase(), (req, res) => this.#take(req, res, handle));
    }
  }

  /** Connects to the engine. @throws McpttAsError `MCPTT_AS_NO_ENGINE` */
  static async connect(options: SipServerOptions): Promise<SipServer> {
    const server = new SipServer(options);
    const where = `${options.engine.host}:${options.engine.port}`;
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string): void => {
        clearTimeout(bound);
        server.stop();
        reject(new McpttAsError('MCPTT_AS_NO_ENGINE', `the SIP engine at ${where} ${why}`));
      };
      const bound = setTimeout(() => fail(`was not reached within ${CONNECT_BOUND_MS} ms`), CONNECT_BOUND_MS);
      server.#srf.on('error', (error) => {
        if (!server.#stopped) options.log.warn({ error: error.message }, 'the connection to the SIP engine failed');
      });
      server.#srf.on('connect', (error, hostports) => {
        if (error) return fail("refuses the secret; compare it with the engine's configuration");
        clearTimeout(bound);
        server.hostports = hostports.split(',').filter((hostport) => hostport !== '');
        resolve();
      });
      server.#srf.connect(options.engine);
      server.#srf.app.client?.wp.on('msg', (_socket, frame) => server.#reportFrame(frame));
    });
    return server;
  }

  /** Names the SIP core, towards which every request of the server goes. */
  routeTo(coreUri: string): void {
    this.#core = coreUri;
  }

  stop(): void {
    this.#stopped = true;
    const { client } = this.#srf.app;
    if (client !== undefined) {
      // srf.disconnect() would forget half a frame and then choke on its other half, which ends the process; and it leaves
      // a client whose engine went away first reconnecting for ever.
      client.wp.closing = true;
      for (const socket of client.mapServer.keys()) {
        socket.removeAllListeners('data').resume();
        socket.destroySoon();
      }
    }
    for (const fail of this.#unanswered) fail(new McpttAsError('MCPTT_AS_NO_ANSWER', 'the MCPTT server has stopped'));
    this.#unanswered.clear();
  }

  /**
   * Sends a request outside a dialog through the SIP core and waits for the final answer, whatever its status.
   * @throws McpttAsError `MCPTT_AS_NO_ANSWER`
   */
  request(request: OutgoingRequest): Promise<SipAnswer> {
    const { headers, body } = this.#parts(request.headers, request.body);
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(bound);
        this.#unanswered.delete(fail);
      };
      const fail = (error: McpttAsError): void => {
        done();
        reject(error);
      };
      const bound = setTimeout(() => {
        fail(new McpttAsError('MCPTT_AS_NO_ANSWER', `no answer to the ${request.method} within ${ANSWER_BOUND_MS} ms`));
      }, ANSWER_BOUND_MS);
      bound.unref();
      this.#unanswered.add(fail);
      const options = { method: request.method, headers, ...body, ...this.#proxy() };
      // The callback form: an answer that comes in the same read as the engine's acknowledgement must not be lost.
      this.#srf.request(request.uri, options, (error, sent) => {
        if (error) {
          fail(
            new McpttAsError(
              'MCPTT_AS_NO_ANSWER',
              `the SIP engine did not send the ${request.method}: ${error.message}`,
            ),
          );
          return;
        }
        sent.on('response', (res) => {
          if (res.status < 200) return;
          done();
          resolve(answerOf(res));
        });
      });
    });
  }

  /**
   * Calls towards the SIP core; resolves when the called end has answered 2xx.
   * @param onSent gets the function that cancels the call while it is not answered
   * @throws SipError of drachtio-srf with `status` when the call is refused
   */
  async call(
    request: OutgoingRequest,
    onSent: (cancel: () => void) => void,
  ): Promise<{ dialog: SipDialog; answer: SipAnswer }> {
    const { headers, body } = this.#parts(request.headers, request.body);
    const options = { headers, ...(body.body === undefined ? {} : { localSdp: body.body }), ...this.#proxy() };
    const dialog = await this.#srf.createUAC(request.uri, options, {
      cbRequest: (error, sent) => {
        if (!error) onSent(() => sent.cancel());
      },
    });
    return { dialog, answer: answerOf(dialog.res) };
  }

  /** Answers an INVITE with 200 and becomes the called end of its dialog. */
  accept(request: SipRequest, options: AnswerOptions): Promise<SipDialog> {
    const { headers, body } = this.#parts(options.headers, options.body);
    return this.#srf.createUAS(request.native.req, request.native.res, { headers, localSdp: body.body ?? '' });
  }

  /** Sends a re-INVITE inside a dialog and waits for its final answer; the ACK is sent too. */
  async reinvite(dialog: SipDialog, entity: MimeEntity): Promise<SipAnswer> {
    const { headers, body } = this.#parts({}, entity);
    return answerOf(await dialog.request({ method: 'INVITE', headers, ...body }));
  }

  /** A request that arrived inside a dialog, in the same terms as one outside. */
  incoming(req: NativeRequest, res: NativeResponse): SipRequest {
    return {
      ...messageOf(req),
      method: req.method,
      uri: req.uri,
      sourceAddress: req.source_address,
      answer: (status, options = {}) => {
        const { headers, body } = this.#parts(options.headers, options.body);
        return new Promise((resolve, reject) => {
          res.send(status, { headers, ...body }, (error) => {
            if (error)
              reject(
                new McpttAsError('MCPTT_AS_NO_ANSWER', `the SIP engine did not send the answer: ${String(error)}`),
              );
            else resolve();
          });
        });
      },
      native: { req, res },
    };
  }

  /** Runs a handler and turns what it throws into the answer. */
  #take(req: NativeRequest, res: NativeResponse, handle: (request: SipRequest) => Promise<void>): void {
    const request = this.incoming(req, res);
    // The engine itself answers a cancelled INVITE with 487 (RFC 3261 9.2); another answer of ours has nowhere to go.
    let cancelled = false;
    if (req.method === 'INVITE') {
      req.on('cancel', () => {
        cancelled = true;
      });
    }
    void handle(request)
      .catch((error: unknown) => (cancelled ? undefined : this.refuse(request, error)))
      .catch((error: unknown) => {
        if (this.#stopped || cancelled) return;
        this.#options.log.warn({ method: req.method, error: String(error) }, 'no answer could be sent');
      });
  }

  /** Answers a request with the refusal that was thrown; anything else that was thrown is a 500. */
  async refuse(request: SipRequest, error: unknown): Promise<void> {
    // After a stop there is no engine to send an answer, and nobody to be warned.
    if (request.native.res.finalResponseSent || this.#stopped) return;
    if (error instanceof Refusal) {
      const warning = error.warning === undefined ? {} : { Warning: formatWarning(this.agent, error.warning) };
      await request.answer(error.status, { headers: { ...error.headers, ...warning } });
      return;
    }
    this.#options.log.error(
      { method: request.method, error: (error as Error).message },
      'a request could not be handled',
    );
    await request.answer(500);
  }

  /** Host and port by which Warning header fields name this server. */
  get agent(): string {
    return this.hostports[0]?.replace(/^[^/]*\//, '') ?? 'mcptt-server';
  }

  #proxy(): { proxy?: string } {
    return this.#core === undefined ? {} : { proxy: this.#core };
  }

  #parts(
    own: Readonly<Record<string, string>> = {},
    entity?: MimeEntity,
  ): { headers: Record<string, string>; body: { body?: string } } {
    if (entity === undefined) return { headers: { ...own }, body: {} };
    const sip = entityToSip(entity);
    return {
      headers: { ...own, 'Content-Type': sip.contentType, ...Object.fromEntries(sip.headers) },
      body: { body: sip.body },
    };
  }

  /**
   * Reports what crossed SIP-2, read from the frames of drachtio's control protocol: `sip|network` frames are messages
   * that arrived, acknowledgements of ours carry the message as it was put on the wire.
   */
  #reportFrame(frame: string): void {
    const end = frame.indexOf('\r\n');
    if (end < 0) return;
    const [, verb, source, outcome, origin] = frame.slice(0, end).split('|');
    const arrived = verb === 'sip' && source === 'network';
    const sent = verb === 'response' && outcome === 'OK' && origin === 'application';
    if (!arrived && !sent) return;
    this.#options.report({
      direction: arrived ? 'received' : 'sent',
      interface: 'SIP-2',
      peer: 'sip-core',
      protocol: 'sip',
      bytes: Buffer.from(frame.slice(end + 2), 'utf8'),
    });
  }
}

function messageOf(native: NativeMessage): SipMessage {
  const header = (name: string): string | undefined => native.get(name) ?? undefined;
  return {
    header,
    values: (name) => splitValues(header(name) ?? ''),
    // drachtio-srf takes multiparts apart in its own way: the body is what follows the empty line.
    entity: () => entityFromSip(header, native.raw.slice(native.raw.indexOf('\r\n\r\n') + 4)),
  };
}

const answerOf = (res: NativeResponse): SipAnswer => ({ ...messageOf(res), status: res.status, reason: res.reason });

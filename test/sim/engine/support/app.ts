import { connect, type Socket } from 'node:net';
import { decodeMessage, FrameReader, type Leader, WIDE_FRAMES } from '../../../../sim/engine/control/framing.ts';
import { parseMessage, SipMessage } from '../../../../sim/engine/message/index.ts';
import type { Where } from './peer.ts';
import { Inbox, until } from './wait.ts';

let count = 0;

/** An application that speaks the control protocol frame by frame: what drachtio-srf would send, and whatever it would not. */
export class RawApp {
  readonly inbox = new Inbox<Leader>((frame) => frame.tokens.join('|'));
  readonly socket: Socket;
  closed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    const reader = new FrameReader(WIDE_FRAMES);
    socket.on('data', (chunk: Buffer) => {
      reader.push(chunk, (message) => this.inbox.put(decodeMessage(Buffer.from(message))));
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
    });
  }

  static async connect(control: Where, secret = 'cymru'): Promise<RawApp> {
    const app = await RawApp.open(control);
    const reply = await app.ask(`authenticate|${secret}|`);
    if (reply.tokens[3] !== 'OK') throw new Error(`not authenticated: ${reply.tokens.join('|')}`);
    return app;
  }

  /** Connects without authenticating. */
  static async open(control: Where): Promise<RawApp> {
    const socket = connect(control.port, control.host);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new RawApp(socket);
  }

  /** Sends a frame. @returns its message id. */
  send(leader: string, sip?: string | Buffer): string {
    const id = `m${++count}`;
    this.sendMessage(`${id}|${leader}`, sip);
    return id;
  }

  sendMessage(leader: string, sip?: string | Buffer): void {
    const message = Buffer.concat([
      Buffer.from(leader),
      ...(sip === undefined ? [] : [Buffer.from('\r\n'), Buffer.from(sip as string)]),
    ]);
    this.socket.write(Buffer.concat([Buffer.from(`${message.length}#`), message]));
  }

  /** Sends a frame and waits for the `response` to it. */
  async ask(leader: string, sip?: string | Buffer): Promise<Leader> {
    return this.reply(this.send(leader, sip));
  }

  async reply(messageId: string): Promise<Leader> {
    return this.inbox.next(`response to ${messageId}`, (f) => f.verb === 'response' && f.tokens[2] === messageId);
  }

  async route(...verbs: readonly string[]): Promise<void> {
    for (const verb of verbs) await this.ask(`route|${verb}`);
  }

  /** The next frame with a request of this method. */
  async request(method: string): Promise<{ frame: Leader; message: SipMessage; transaction: string; dialog: string }> {
    const frame = await this.inbox.next(
      `${method} frame`,
      (f) => f.verb === 'sip' && f.sip!.toString('latin1').startsWith(`${method} `),
    );
    return { frame, message: sipOf(frame), transaction: frame.tokens[8]!, dialog: frame.tokens[9]! };
  }

  /** The next frame with a response of this status. */
  async response(status: number): Promise<{ frame: Leader; message: SipMessage; transaction: string; dialog: string }> {
    const frame = await this.inbox.next(
      `${status} frame`,
      (f) => f.verb === 'sip' && f.sip!.toString('latin1').startsWith(`SIP/2.0 ${status} `),
    );
    return { frame, message: sipOf(frame), transaction: frame.tokens[8]!, dialog: frame.tokens[9]! };
  }

  /** Answers a request frame as drachtio-srf does: Call-ID, CSeq, From and To of the request first. */
  answer(to: SipMessage, transaction: string, status: number, headers: readonly string[] = [], body = ''): string {
    return this.send(
      `sip|${transaction}|`,
      [
        `SIP/2.0 ${status} Because`,
        `Call-ID: ${to.callId}`,
        `cseq: ${to.get('cseq')}`,
        `from: ${to.get('from')}`,
        `to: ${to.get('to')}`,
        ...headers,
        `Content-Length: ${body.length}`,
        '',
        body,
      ].join('\r\n'),
    );
  }

  async close(): Promise<void> {
    this.socket.destroy();
    await until('the application to close', () => this.closed);
  }
}

export function sipOf(frame: Leader): SipMessage {
  const message = parseMessage(frame.sip!, 'app');
  if (message instanceof SipMessage) return message;
  throw message;
}

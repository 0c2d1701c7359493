import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { WebSocket } from 'ws';
import { parseMessage, type SipMessage, SipParseError } from '../../../../sim/engine/message/index.ts';
import { Inbox } from './wait.ts';

export interface Where {
  readonly host: string;
  readonly port: number;
}

/**
 * A SIP element that says exactly what a test tells it to, octet for octet, and keeps what it hears. It retransmits
 * nothing and answers nothing by itself.
 */
export class Peer {
  readonly inbox = new Inbox<SipMessage>((m) => m.startLine);
  /** What came and is no SIP message. A test that expects such takes it out; otherwise `close` fails. */
  readonly broken: Buffer[] = [];
  readonly protocol: 'UDP' | 'TCP' | 'WSS';
  readonly port: number;
  readonly #write: (octets: Buffer, to: Where | undefined) => void;
  readonly #close: () => Promise<void>;
  #closing: Promise<void> | undefined;

  private constructor(
    protocol: 'UDP' | 'TCP' | 'WSS',
    port: number,
    write: (octets: Buffer, to: Where | undefined) => void,
    close: () => Promise<void>,
  ) {
    this.protocol = protocol;
    this.port = port;
    this.#write = write;
    this.#close = close;
  }

  static async udp(engine: Where): Promise<Peer> {
    const socket: UdpSocket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const peer = new Peer(
      'UDP',
      socket.address().port,
      (octets, to = engine) => socket.send(octets, to.port, to.host),
      () => new Promise((resolve) => socket.close(() => resolve())),
    );
    socket.on('message', (octets) => peer.#read(octets));
    return peer;
  }

  /** Connects to the engine, and accepts connections from it. */
  static async tcp(engine: Where): Promise<Peer> {
    const sockets = new Set<Socket>();
    const take = (socket: Socket): void => {
      sockets.add(socket);
      let pending: Buffer = Buffer.alloc(0);
      socket.on('data', (chunk: Buffer) => {
        pending = peer.#cut(Buffer.concat([pending, chunk]));
        last = socket;
      });
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    };
    const server: Server = createServer(take);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const own = connect(engine.port, engine.host);
    await new Promise<void>((resolve) => own.once('connect', resolve));
    take(own);
    let last = own;
    const peer = new Peer(
      'TCP',
      (server.address() as AddressInfo).port,
      (octets) => last.write(octets),
      async () => {
        for (const socket of sockets) socket.destroy();
        await new Promise<void>((resolve) => server.close(() => resolve()));
      },
    );
    return peer;
  }

  static async wss(engine: Where): Promise<Peer> {
    const socket = new WebSocket(`wss://${engine.host}:${engine.port}`, 'sip', { rejectUnauthorized: false });
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    const peer = new Peer(
      'WSS',
      0,
      (octets) => socket.send(octets),
      () =>
        new Promise((resolve) => {
          socket.once('close', () => resolve());
          socket.terminate();
        }),
    );
    socket.on('message', (data: Buffer) => peer.#read(data));
    return peer;
  }

  send(text: string | Buffer, to?: Where): void {
    this.#write(Buffer.from(text as string), to);
  }

  /** The next request with this method. */
  async request(method: string): Promise<SipMessage> {
    return this.inbox.next(`${method} request`, (m) => m.isRequest && m.method === method);
  }

  /** The next response with this status. */
  async response(status: number, method?: string): Promise<SipMessage> {
    return this.inbox.next(
      `${status} ${method ?? ''}`,
      (m) => m.status === status && (method === undefined || m.method === method),
    );
  }

  /** Closes at once; a second call does nothing. */
  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
    if (this.broken.length > 0) throw new Error(`the engine sent what is no SIP:\n${this.broken.join('\n')}`);
  }

  #read(octets: Buffer): void {
    const message = parseMessage(octets, 'datagram');
    if (message instanceof SipParseError) {
      this.broken.push(octets);
      return;
    }
    this.inbox.put(message);
  }

  #cut(data: Buffer): Buffer {
    for (;;) {
      const end = data.indexOf('\r\n\r\n');
      if (end < 0) return data;
      if (end === 0) {
        data = data.subarray(4);
        continue;
      }
      const length = Number(/^content-length:\s*(\d+)/im.exec(data.toString('latin1', 0, end + 2))?.[1] ?? 0);
      const total = end + 4 + length;
      if (data.length < total) return data;
      this.#read(Buffer.from(data.subarray(0, total)));
      data = data.subarray(total);
    }
  }
}

let count = 0;
/** A new token for branches, tags and Call-IDs of test messages. */
export function fresh(prefix = 't'): string {
  return `${prefix}${++count}x${Math.random().toString(36).slice(2, 10)}`;
}

export interface RequestParts {
  readonly method: string;
  readonly uri?: string;
  readonly branch?: string;
  readonly from?: string;
  readonly to?: string;
  readonly callId?: string;
  readonly cseq?: number;
  readonly contact?: string;
  readonly maxForwards?: number;
  readonly headers?: readonly string[];
  readonly body?: string | Buffer;
}

/** A request of this peer's own, with every header that RFC 3261 8.1.1 wants; parts replace what they name. */
export function requestText(peer: Peer, parts: RequestParts): Buffer {
  const { method } = parts;
  const via = peer.protocol === 'WSS' ? 'ue.invalid' : `127.0.0.1:${peer.port}`;
  const body = Buffer.from((parts.body ?? '') as string);
  const transport = peer.protocol === 'UDP' ? '' : `;transport=${peer.protocol.toLowerCase()}`;
  const lines = [
    `${method} ${parts.uri ?? 'sip:service@example.com'} SIP/2.0`,
    `Via: SIP/2.0/${peer.protocol} ${via};rport;branch=${parts.branch ?? `z9hG4bK${fresh()}`}`,
    `Max-Forwards: ${parts.maxForwards ?? 70}`,
    `From: ${parts.from ?? `<sip:alice@example.com>;tag=${fresh('a')}`}`,
    `To: ${parts.to ?? '<sip:service@example.com>'}`,
    `Call-ID: ${parts.callId ?? fresh('c')}`,
    `CSeq: ${parts.cseq ?? 1} ${method === 'ACK' ? 'ACK' : method}`,
    `Contact: ${parts.contact ?? `<sip:alice@${via}${transport}>`}`,
    ...(parts.headers ?? []),
    `Content-Length: ${body.length}`,
    '',
    '',
  ];
  return Buffer.concat([Buffer.from(lines.join('\r\n')), body]);
}

/** A response to a request that the peer got. */
export function responseText(
  request: SipMessage,
  status: number,
  options: { readonly tag?: string; readonly headers?: readonly string[]; readonly body?: string } = {},
): string {
  const take = (name: string): string[] => request.lines.filter((line) => line.name === name).map((line) => line.raw);
  const to = take('to')[0]!;
  const body = options.body ?? '';
  return [
    `SIP/2.0 ${status} Because`,
    ...take('via'),
    ...take('record-route'),
    ...take('from'),
    options.tag === undefined ? to : `${to};tag=${options.tag}`,
    ...take('call-id'),
    ...take('cseq'),
    ...(options.headers ?? []),
    `Content-Length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n');
}

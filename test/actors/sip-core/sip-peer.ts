/**
 * A SIP peer below every stack: octets over TCP, written and read by the test itself, so that what the core gets and gives
 * is seen as it is.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export interface SipText {
  readonly startLine: string;
  readonly status: number;
  /** First value by lower-case name; values of one name joined by commas. */
  header(name: string): string | undefined;
  readonly body: string;
  readonly text: string;
}

export function parseText(text: string): SipText {
  const end = text.indexOf('\r\n\r\n');
  const [startLine = '', ...lines] = text.slice(0, end).split(/\r\n(?![ \t])/);
  return {
    startLine,
    status: Number(/^SIP\/2\.0 (\d{3})/.exec(startLine)?.[1] ?? 0),
    header(name) {
      const values = lines
        .filter((line) => line.slice(0, line.indexOf(':')).trim().toLowerCase() === name.toLowerCase())
        .map((line) => line.slice(line.indexOf(':') + 1).trim());
      return values.length === 0 ? undefined : values.join(', ');
    },
    body: text.slice(end + 4),
    text,
  };
}

/** Header lines that a response copies from its request. */
export function response(request: SipText, status: string, headers: readonly string[] = [], body = ''): string {
  const copied = ['Via', 'From', 'Call-ID', 'CSeq'].map((name) => `${name}: ${request.header(name)}`);
  const to = request.header('To')!;
  const lines = [...copied, `To: ${to}${to.includes(';tag=') ? '' : ';tag=peer'}`, ...headers];
  return `SIP/2.0 ${status}\r\n${lines.join('\r\n')}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

export class SipPeer {
  #socket: Socket | undefined;
  readonly #server: Server | undefined;
  readonly #queue: SipText[] = [];
  readonly #waiting: ((message: SipText) => void)[] = [];
  readonly #sockets = new Set<Socket>();
  /** Answers requests by itself when set. */
  onRequest: ((request: SipText) => string | undefined) | undefined;
  readonly seen: SipText[] = [];

  private constructor(server?: Server) {
    this.#server = server;
  }

  static async connect(port: number): Promise<SipPeer> {
    const peer = new SipPeer();
    const socket = connect(port, '127.0.0.1');
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    peer.#attach(socket);
    return peer;
  }

  static async listen(): Promise<SipPeer> {
    const server = createServer();
    const peer = new SipPeer(server);
    server.on('connection', (socket) => peer.#attach(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return peer;
  }

  /** Own port: where it listens, or the local end of its connection. */
  get port(): number {
    return this.#server === undefined ? this.#socket!.localPort! : (this.#server.address() as AddressInfo).port;
  }

  send(text: string): void {
    this.#socket!.write(text);
  }

  /** The next message, within two seconds. */
  next(what: string): Promise<SipText> {
    const message = this.#queue.shift();
    if (message !== undefined) return Promise.resolve(message);
    return new Promise((resolve, reject) => {
      const guard = setTimeout(() => reject(new Error(`${what} did not come within 2000 ms`)), 2000);
      this.#waiting.push((arrived) => {
        clearTimeout(guard);
        resolve(arrived);
      });
    });
  }

  get unread(): number {
    return this.#queue.length;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const server = this.#server;
    if (server !== undefined) await new Promise((resolve) => server.close(resolve));
  }

  #attach(socket: Socket): void {
    this.#socket = socket;
    this.#sockets.add(socket);
    let unread = '';
    socket.on('error', () => undefined);
    socket.on('data', (octets) => {
      unread += octets.toString('utf8');
      for (;;) {
        const end = unread.indexOf('\r\n\r\n');
        if (end < 0) return;
        const length = Number(parseText(unread.slice(0, end + 4)).header('content-length') ?? 0);
        if (unread.length < end + 4 + length) return;
        const message = parseText(unread.slice(0, end + 4 + length));
        unread = unread.slice(end + 4 + length);
        this.seen.push(message);
        const answer = message.status === 0 ? this.onRequest?.(message) : undefined;
        if (answer !== undefined) socket.write(answer);
        const waiting = this.#waiting.shift();
        if (waiting === undefined) this.#queue.push(message);
        else waiting(message);
      }
    });
  }
}

import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { plainAddress } from './addresses.ts';
import { TransportError } from './errors.ts';
import type { BoundPoint, Flow } from './flow.ts';

/** RFC 3261 18.1.1 wants 65,535 octets accepted; the size of the largest datagram less IPv4 and UDP headers. */
const LARGEST_DATAGRAM = 65_507;
/** A burst of a few thousand requests waits in the kernel instead of being lost; capped by net.core.rmem_max. */
const RECEIVE_BUFFER = 8 * 1024 * 1024;

class UdpFlow implements Flow {
  readonly protocol = 'udp';
  readonly socket: UdpSocket;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;

  constructor(socket: UdpSocket, remoteAddress: string, remotePort: number) {
    this.socket = socket;
    this.localAddress = socket.host;
    this.localPort = socket.port;
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
  }

  get id(): string {
    return `udp/${this.localAddress}/${this.localPort}/${this.remoteAddress}/${this.remotePort}`;
  }
}

/** One bound UDP socket, which sends from the address it listens on (RFC 3581 4: answers come from where requests went). */
export class UdpSocket implements BoundPoint {
  readonly protocol = 'udp';
  readonly host: string;
  readonly port: number;
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    const { address, port } = socket.address();
    this.#socket = socket;
    this.host = plainAddress(address);
    this.port = port;
  }

  /** Binds; rejects with the system's error. `onDatagram` gets each datagram that is no keep-alive. */
  static bind(host: string, port: number, onDatagram: (octets: Buffer, flow: Flow) => void): Promise<UdpSocket> {
    const v6 = isIPv6(host);
    const socket = createSocket({
      type: v6 ? 'udp6' : 'udp4',
      ipv6Only: v6,
      recvBufferSize: RECEIVE_BUFFER,
      sendBufferSize: RECEIVE_BUFFER,
      // Only numeric addresses come here; the default would go through the resolver's queue for each datagram.
      lookup: (address, _options, callback) => callback(null, address, v6 ? 6 : 4),
    });
    return new Promise((resolve, reject) => {
      socket.once('error', (error) => {
        socket.close();
        reject(error);
      });
      socket.bind(port, host, () => {
        socket.removeAllListeners('error');
        // A socket error after binding belongs to one datagram that the kernel could not place; others go on.
        socket.on('error', () => undefined);
        const bound = new UdpSocket(socket);
        // A proxy sends many requests in a row: transactions that wait in their thousands share one flow.
        let last: UdpFlow | undefined;
        socket.on('message', (octets, from) => {
          if (isKeepAlive(octets)) return;
          const address = plainAddress(from.address);
          if (last?.remotePort !== from.port || last.remoteAddress !== address) {
            last = new UdpFlow(bound, address, from.port);
          }
          onDatagram(octets, last);
        });
        resolve(bound);
      });
    });
  }

  flowTo(address: string, port: number): Flow {
    return new UdpFlow(this, address, port);
  }

  send(octets: Buffer, address: string, port: number, failed?: (error: TransportError) => void): void {
    const refusal =
      octets.length > LARGEST_DATAGRAM
        ? new TransportError('message-too-large', `${octets.length} octets do not fit a datagram; use TCP`)
        : port === 0
          ? new TransportError('send-failed', `UDP to ${address}: nobody can be reached at port 0`)
          : undefined;
    if (refusal) {
      if (failed) setImmediate(failed, refusal);
      return;
    }
    this.#socket.send(octets, port, address, (cause) => {
      if (cause) failed?.(new TransportError('send-failed', `UDP to ${address}:${port}: ${cause.message}`, { cause }));
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.close(resolve);
    });
  }
}

/** The socket a UDP flow belongs to. */
export const socketOf = (flow: Flow): UdpSocket | undefined => (flow instanceof UdpFlow ? flow.socket : undefined);

/** Datagrams without a single octet above CR are keep-alives (CRLF, or NULs of older NAT helpers): not worth an answer. */
function isKeepAlive(octets: Buffer): boolean {
  if (octets.length > 4) return false;
  for (const octet of octets) if (octet > 32) return false;
  return true;
}

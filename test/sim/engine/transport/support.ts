import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { connect as connectTcp, type Socket } from 'node:net';
import * as x509 from '@peculiar/x509';
import { systemClock } from '../../../../sim/engine/clock.ts';
import { buildRequest, type SipMessage, type SipParseError } from '../../../../sim/engine/message/index.ts';
import {
  type Flow,
  type Protocol,
  TransportLayer,
  type TransportOptions,
} from '../../../../sim/engine/transport/index.ts';

export const PROTOCOLS: readonly Protocol[] = ['udp', 'tcp', 'tls', 'ws', 'wss'];

/** A self-signed certificate for loopback addresses and sip.test. */
export async function makeCertificate(): Promise<{ key: string; cert: string }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=sip.test',
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 86_400_000),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true),
      new x509.SubjectAlternativeNameExtension([
        { type: 'ip', value: '127.0.0.1' },
        { type: 'ip', value: '::1' },
        { type: 'dns', value: 'sip.test' },
      ]),
    ],
  });
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return { key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`, cert: certificate.toString('pem') };
}

/** Resolves once `condition` holds; rejects with what did not come after five seconds. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const end = Date.now() + 5000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`${what}: did not come within 5 s`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A transport layer that writes down what happens to it. */
export class Party {
  readonly messages: { message: SipMessage; flow: Flow }[] = [];
  readonly refused: SipParseError[] = [];
  readonly closedFlows: Flow[] = [];
  readonly failures: string[] = [];
  readonly layer: TransportLayer;

  constructor(options: Partial<TransportOptions> = {}) {
    this.layer = new TransportLayer({
      clock: systemClock,
      onMessage: (message, flow) => this.messages.push({ message, flow }),
      onRefused: (error) => this.refused.push(error),
      onFlowClosed: (flow) => this.closedFlows.push(flow),
      ...options,
    });
  }

  readonly failed = (error: { code: string }): void => void this.failures.push(error.code);
}

/** An OPTIONS request as a client behind `sentBy` would send it. */
export function options(sentBy: string, transport = 'UDP', callId = 'c1'): Buffer {
  return buildRequest('OPTIONS', 'sip:bob@biloxi.com', [
    ['Via', `SIP/2.0/${transport} ${sentBy};branch=z9hG4bK74bf9`],
    ['Max-Forwards', '70'],
    ['From', '<sip:alice@atlanta.com>;tag=1'],
    ['To', '<sip:bob@biloxi.com>'],
    ['Call-ID', callId],
    ['CSeq', '1 OPTIONS'],
  ]).serialise();
}

/** A bare TCP client that keeps what it reads. */
export class RawClient {
  text = '';
  ended = false;
  readonly socket: Socket;

  constructor(port: number, host = '127.0.0.1') {
    this.socket = connectTcp(port, host);
    this.socket.on('data', (chunk) => {
      this.text += chunk.toString('latin1');
    });
    this.socket.on('close', () => {
      this.ended = true;
    });
    this.socket.on('error', () => undefined);
  }
}

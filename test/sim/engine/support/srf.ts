import type { EventEmitter } from 'node:events';
import DrachtioSrf from 'drachtio-srf';
import type { Where } from './peer.ts';

/**
 * drachtio-srf as the engine's tests use it, unmodified. Its own declarations leave out what it adds at run time
 * (`srf.register`, `req.proxy`, promises), hence these.
 */
export interface SrfRequest extends EventEmitter {
  readonly method: string;
  readonly uri: string;
  readonly body: string;
  readonly protocol: string;
  readonly source_address: string;
  readonly source_port: number;
  readonly receivedOn: string;
  readonly stackTxnId: string;
  readonly stackDialogId: string;
  get(name: string): string;
  has(name: string): boolean;
  proxy(
    options: object,
  ): Promise<{ connected: boolean; finalStatus: number; responses: { msgs: { status: number }[] }[] }>;
  cancel(callback?: (error: Error | null) => void): void;
}

export interface SrfResponse {
  readonly status: number;
  readonly body: string;
  get(name: string): string;
  send(
    status: number,
    options?: object,
    callback?: ((error: unknown, sent: SrfRequest) => void) | null,
    onAck?: (request: SrfRequest) => void,
  ): void;
}

export interface SrfDialog extends EventEmitter {
  readonly id: string;
  readonly sip: { readonly callId: string; readonly localTag: string; readonly remoteTag: string };
  readonly local: { readonly sdp: string };
  readonly remote: { readonly sdp: string };
  destroy(options?: object): Promise<SrfRequest>;
  modify(sdp: string): Promise<string>;
  request(options: object): Promise<SrfResponse>;
}

type Handler = (request: SrfRequest, response: SrfResponse) => void;

export interface Srf extends EventEmitter {
  connect(options: object): unknown;
  disconnect(): void;
  use(method: string, handler: Handler): void;
  register(handler: Handler): void;
  message(handler: Handler): void;
  invite(handler: Handler): void;
  subscribe(handler: Handler): void;
  request(uri: string, options: object): Promise<SrfRequest>;
  createUAS(request: SrfRequest, response: SrfResponse, options: object): Promise<SrfDialog>;
  createUAC(uri: string, options: object, callbacks?: object): Promise<SrfDialog>;
  createB2BUA(
    request: SrfRequest,
    response: SrfResponse,
    uri: string,
    options: object,
  ): Promise<{ uas: SrfDialog; uac: SrfDialog }>;
}

export function newSrf(): Srf {
  return new DrachtioSrf() as unknown as Srf;
}

/** Connects, and resolves when the engine has authenticated the application. */
export async function connectSrf(srf: Srf, control: Where, options: object = {}): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    srf.once('connect', (error: Error | null) => (error ? reject(error) : resolve()));
    void srf.connect({ host: control.host, port: control.port, secret: 'cymru', ...options });
  });
}

/** The next response to a request. */
export function responseTo(request: SrfRequest): Promise<SrfResponse> {
  return new Promise((resolve) => {
    request.once('response', (response: SrfResponse) => resolve(response));
  });
}

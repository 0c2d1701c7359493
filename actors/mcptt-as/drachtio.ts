/** What is used of drachtio-srf, typed: its own declarations leave out the callback forms that are needed here. */

import type { Socket } from 'node:net';

/** A SIP engine's control port. */
export interface EngineAddress {
  readonly host: string;
  readonly port: number;
  readonly secret: string;
}

/** A message as drachtio-srf parsed it. */
export interface NativeMessage {
  readonly raw: string;
  get(name: string): string | undefined;
}
export interface NativeRequest extends NativeMessage {
  readonly method: string;
  readonly uri: string;
  readonly source_address: string;
  on(event: 'response', listener: (res: NativeResponse) => void): void;
  on(event: 'cancel', listener: () => void): void;
  cancel(): void;
}
export interface NativeResponse extends NativeMessage {
  readonly status: number;
  readonly reason: string;
  readonly finalResponseSent: boolean;
  send(
    status: number,
    options: { headers: object; body?: string },
    done: (error: string | Error | null | undefined) => void,
  ): void;
}
interface DialogRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}
/** One leg of a call. */
export interface SipDialog {
  on(event: 'modify', listener: (req: NativeRequest, res: NativeResponse) => void): void;
  on(event: 'destroy', listener: () => void): void;
  request(request: DialogRequest): Promise<NativeResponse>;
  destroy(): Promise<unknown>;
}
/** drachtio-srf's end of the control connection. */
interface WireProtocol {
  closing?: boolean;
  on(event: 'msg', listener: (socket: unknown, frame: string) => void): void;
}
export interface NativeSrf {
  on(event: 'connect', listener: (error: Error | undefined, hostports: string) => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  use(method: string, handler: (req: NativeRequest, res: NativeResponse) => void): void;
  connect(options: EngineAddress): void;
  request(
    uri: string,
    options: { method: string; headers: object; body?: string; proxy?: string },
    done: (error: Error | null, request: NativeRequest) => void,
  ): void;
  createUAC(
    uri: string,
    options: { headers: object; localSdp?: string; proxy?: string },
    progress: { cbRequest: (error: unknown, request: NativeRequest) => void },
  ): Promise<SipDialog & { res: NativeResponse }>;
  createUAS(
    req: NativeRequest,
    res: NativeResponse,
    options: { headers: object; localSdp: string },
  ): Promise<SipDialog>;
  /** The client of the control port and its connections, of which there is one at most. */
  readonly app: { readonly client?: { readonly wp: WireProtocol; readonly mapServer: Map<Socket, unknown> } };
}

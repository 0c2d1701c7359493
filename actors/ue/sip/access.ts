/**
 * The UE's way to the SIP core: the connection, and sip.js behind the Contact URI that names the SIP session. The URI
 * is chosen before the UE registers (so that a key can be asked for before step 1) and never used again afterwards.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingInviteRequest, IncomingMessageRequest } from 'sip.js/lib/core/index.js';
import type { Log } from '../../../sim/control/actor.ts';
import type { Report } from '../../../sim/trace/record.ts';
import { UeError } from '../errors.ts';
import { SipUserAgent } from './user-agent.ts';
import { WssTransport } from './wss-transport.ts';

export interface SipAccessOptions {
  readonly impu: string;
  /** URL of the core's secure WebSocket; undefined until the UE has learned it. */
  readonly coreUrl: () => string | undefined;
  readonly ca: string;
  readonly report: Report;
  readonly log: Log;
  readonly onMessage: (request: IncomingMessageRequest) => void;
  readonly onInvite: (request: IncomingInviteRequest) => void;
  /** The core's end closed the connection; a connection that the UE lost by {@link SipAccess.drop} is not told. */
  readonly onClosed: () => void;
}

export class SipAccess {
  readonly #options: SipAccessOptions;
  #contact = newContact();
  #userAgent: SipUserAgent;
  #transport: WssTransport | undefined;
  #connecting: Promise<void> | undefined;
  #lost = false;

  constructor(options: SipAccessOptions) {
    this.#options = options;
    this.#userAgent = this.#makeUserAgent();
  }

  /** Contact URI of the present SIP session. */
  get contact(): string {
    return this.#contact;
  }

  get userAgent(): SipUserAgent {
    return this.#userAgent;
  }

  /** The UE lost its connection by {@link drop} and has not been told to connect again. */
  get lost(): boolean {
    return this.#lost;
  }

  get connected(): boolean {
    return this.#transport !== undefined;
  }

  /** Connects unless there is a connection. @throws UeError `UE_NO_PEER`, `UE_NO_CONNECTION` */
  async connect(): Promise<void> {
    this.#lost = false;
    if (this.#transport !== undefined) return;
    this.#connecting ??= this.#open().finally(() => {
      this.#connecting = undefined;
    });
    await this.#connecting;
  }

  /** Forgets the SIP session: the next one has another Contact and no dialogs. */
  renew(): void {
    this.#userAgent.dispose();
    this.#contact = newContact();
    this.#userAgent = this.#makeUserAgent();
  }

  /** Loses the connection without a goodbye. */
  drop(): void {
    this.#lost = true;
    this.#transport?.drop();
    this.#transport = undefined;
  }

  async close(): Promise<void> {
    this.#userAgent.dispose();
    const transport = this.#transport;
    this.#transport = undefined;
    await transport?.close();
  }

  async #open(): Promise<void> {
    const url = this.#options.coreUrl();
    if (url === undefined)
      throw new UeError('UE_NO_PEER', 'the UE does not know the SIP core; attach first, or name it a peer');
    const { ca, report } = this.#options;
    const transport: WssTransport = await WssTransport.connect({
      url,
      ca,
      report,
      onMessage: (text) => this.#userAgent.receive(text),
      onClose: () => {
        if (this.#transport !== transport) return;
        this.#transport = undefined;
        this.#options.onClosed();
      },
    });
    this.#transport = transport;
  }

  #makeUserAgent(): SipUserAgent {
    const { impu, log, onMessage, onInvite } = this.#options;
    return new SipUserAgent({
      impu,
      contact: this.#contact,
      log,
      transport: () => this.#transport,
      onMessage,
      onInvite,
    });
  }
}

/** RFC 7118 5: a WebSocket client has no address to be reached at, so the host is a name that never resolves. */
const newContact = (): string =>
  `sip:${randomBytes(8).toString('hex')}@${randomBytes(6).toString('hex')}.invalid;transport=ws`;

/**
 * The UE's part of step 0: EPS attach with AKA, NAS security, a bearer with an address, detach by either end
 * (TS 24.301 5.4.2, 5.4.3, 5.5.1, 5.5.2).
 *
 * ```
 *  UE                                         access network
 *   |  Attach request (IMSI, capability, PCO request)  |
 *   |------------------------------------------------->|
 *   |                Authentication request (RAND, AUTN)
 *   |<-------------------------------------------------|   MAC wrong: failure #20, refused
 *   |  Authentication response (RES)                   |   SQN out of range: failure #21 with AUTS, new request
 *   |------------------------------------------------->|   RES wrong: reject
 *   |                 Security mode command (128-EIA2) |
 *   |<-------------------------------------------------|   MAC under K_NASint: both hold the same K_ASME
 *   |  Security mode complete                          |
 *   |------------------------------------------------->|
 *   |     Attach accept (PDN address, P-CSCF, SIP core)|
 *   |<-------------------------------------------------|
 *   |  Attach complete                                 |
 *   |------------------------------------------------->|
 * ```
 */
import { connect } from 'node:net';
import type { Clock } from '../../sim/engine/clock.ts';
import type { Report } from '../../sim/trace/record.ts';
import { decodeEmm, EMM_CAUSE, type EmmMessage, encodeEmm } from '../messages/nas/emm.ts';
import {
  type BearerGrant,
  decodeActivateDefaultBearer,
  encodeActivateDefaultBearerAccept,
  encodePdnConnectivityRequest,
} from '../messages/nas/esm.ts';
import { NasLink } from '../messages/nas/link.ts';
import { NasError } from '../messages/nas/octets.ts';
import { isProtected, NasSecurity } from '../messages/nas/security.ts';
import { deriveKasme, kasmeFingerprint, servingNetworkId } from '../security/aka/eps-keys.ts';
import type { Usim } from './usim.ts';

export type AttachErrorCode =
  /** The network's MAC is wrong: it does not know this USIM's K (TS 24.301 5.4.2.6 case c). */
  | 'ATTACH_NETWORK_MAC_WRONG'
  /** The network's vector is not one for EPS. */
  | 'ATTACH_NOT_FOR_EPS'
  /** The network found RES wrong. */
  | 'ATTACH_AUTHENTICATION_REJECTED'
  /** Attach reject; `cause` says why. */
  | 'ATTACH_REJECTED'
  /** The network's security mode command is not what this UE's K_ASME and capabilities give. */
  | 'ATTACH_SECURITY_MODE_REFUSED'
  | 'ATTACH_TIMEOUT'
  | 'ATTACH_CONNECTION_LOST'
  | 'ATTACH_PROTOCOL_ERROR'
  | 'ATTACH_NOT_ATTACHED';

export class AttachError extends Error {
  readonly code: AttachErrorCode;
  /** Plain JSON: `{cause}` where the network gave an EMM cause. */
  readonly detail: { readonly cause?: number };

  constructor(code: AttachErrorCode, message: string, cause?: number) {
    super(message);
    this.name = 'AttachError';
    this.code = code;
    this.detail = cause === undefined ? {} : { cause };
  }
}

export interface AttachOptions {
  readonly usim: Usim;
  /** `tcp://host:port`, the access network's `lte` endpoint. */
  readonly network: string;
  /** What a real UE hears broadcast. Default: the IMSI's MCC and a two-digit MNC. */
  readonly servingNetwork?: { readonly mcc: string; readonly mnc: string };
  readonly clock: Clock;
  readonly report: Report;
  /** For scenarios that send a wrong RES: sees it before it goes into the Authentication response. */
  readonly changeRes?: (res: Uint8Array) => Uint8Array;
  /** For scenarios that send a wrong MAC: sees the Security mode complete before it goes out. */
  readonly changeNas?: (pdu: Uint8Array) => Uint8Array;
  /** For each answer of the network; default 6000 (the order of T3410 and T3418). */
  readonly guardMs?: number;
  /** Called once when the network detaches the UE or the connection is lost; not after {@link EpsAttachment.detach}. */
  readonly onDetached?: (reason: 'network' | 'connection-lost') => void;
}

/**
 * ```
 *                 attach()                    attach accept
 *  (deregistered) --------> REGISTERED-INITIATED ---------> REGISTERED --detach()--> DEREGISTERED-INITIATED
 *                                | refused, lost               | network detach, lost         | accept, lost, guard
 *                                v                             v                              v
 *                           DEREGISTERED                  DEREGISTERED                   DEREGISTERED
 * ```
 * The UE's EMM states (TS 24.301 5.1.3.2).
 */
export type EmmUeState =
  | 'EMM-REGISTERED-INITIATED'
  | 'EMM-REGISTERED'
  | 'EMM-DEREGISTERED-INITIATED'
  | 'EMM-DEREGISTERED';

const NEXT: Readonly<Record<EmmUeState, readonly EmmUeState[]>> = {
  'EMM-REGISTERED-INITIATED': ['EMM-REGISTERED', 'EMM-DEREGISTERED'],
  'EMM-REGISTERED': ['EMM-DEREGISTERED-INITIATED', 'EMM-DEREGISTERED'],
  'EMM-DEREGISTERED-INITIATED': ['EMM-DEREGISTERED'],
  'EMM-DEREGISTERED': [],
};

/** First bit of the AMF, which is in octets 6 and 7 of AUTN (TS 33.401 6.1.1). */
const SEPARATION_BIT = 0x80;
/** EEA0 and 128-EIA2. */
const CAPABILITY = Uint8Array.of(0x80, 0x20);
/** TS 24.301 5.4.2.7: a network that fails authentication three times running is not to be trusted. */
const MOST_AUTHENTICATION_FAILURES = 3;
const DEFAULT_GUARD_MS = 6000;

/** An attached UE. Made by {@link attach}. */
export class EpsAttachment {
  readonly #options: AttachOptions;
  readonly #link: NasLink;
  readonly #plmn: Uint8Array;
  readonly #guardMs: number;
  #state: EmmUeState = 'EMM-REGISTERED-INITIATED';
  #security: NasSecurity | undefined;
  #fingerprint = '';
  #guti: Uint8Array = new Uint8Array();
  #grant: BearerGrant | undefined;
  #listening: Promise<void> = Promise.resolve();
  #detachAccepted: (() => void) | undefined;

  /** Use {@link attach}. */
  constructor(options: AttachOptions) {
    this.#options = options;
    this.#guardMs = options.guardMs ?? DEFAULT_GUARD_MS;
    const { imsi } = options.usim;
    const { mcc, mnc } = options.servingNetwork ?? { mcc: imsi.slice(0, 3), mnc: imsi.slice(3, 5) };
    this.#plmn = servingNetworkId(mcc, mnc);
    const { hostname, port } = new URL(options.network);
    this.#link = new NasLink(connect(Number(port), hostname), {
      timers: options.clock,
      onPdu: (direction, bytes) =>
        options.report({ direction, interface: 'LTE', peer: 'access-network', protocol: 'nas', bytes }),
    });
  }

  get state(): EmmUeState {
    return this.#state;
  }

  /** The UE's own IPv4 address. */
  get pdnAddress(): string {
    return this.#granted().pdnAddress;
  }

  /** IPv4 address of the P-CSCF. */
  get pCscfAddress(): string {
    return this.#granted().pCscfAddress;
  }

  /** `wss:` URL of the SIP core. */
  get sipCoreUrl(): string {
    return this.#granted().sipCoreUrl;
  }

  /** Equal to the access network's when both derived the same K_ASME. */
  get kasmeFingerprint(): string {
    return this.#fingerprint;
  }

  /** Runs the attach procedure; see {@link attach}. */
  async run(): Promise<void> {
    try {
      const esm = encodePdnConnectivityRequest(this.#plmn);
      const identity = { kind: 'imsi' as const, imsi: this.#options.usim.imsi };
      this.#link.send(encodeEmm({ type: 'attach-request', identity, capability: CAPABILITY, esm }));
      const kasme = await this.#authenticate();
      const accept = await this.#takeSecurityMode(kasme);
      this.#grant = decodeActivateDefaultBearer(accept.esm);
      this.#guti = accept.guti;
      this.#sendProtected({ type: 'attach-complete', esm: encodeActivateDefaultBearerAccept() });
      this.#to('EMM-REGISTERED');
      this.#listening = this.#listen();
    } catch (error) {
      this.#end();
      throw asAttachError(error);
    }
  }

  /**
   * Detaches (TS 24.301 5.5.2.2) and closes the connection; when the network does not answer, the UE is detached all the
   * same.
   *
   * @throws AttachError ATTACH_NOT_ATTACHED
   */
  async detach(): Promise<void> {
    if (this.#state !== 'EMM-REGISTERED') {
      throw new AttachError('ATTACH_NOT_ATTACHED', `The UE cannot detach in state ${this.#state}.`);
    }
    this.#to('EMM-DEREGISTERED-INITIATED');
    const accepted = new Promise<void>((resolve) => {
      this.#detachAccepted = resolve;
    });
    // T3421: the network gets one guard time, then the UE goes anyway (TS 24.301 5.5.2.2.4).
    const guard = this.#options.clock.setTimer(this.#guardMs, () => this.#detachAccepted?.());
    this.#sendProtected({ type: 'detach-request', identity: { kind: 'guti', guti: this.#guti }, switchOff: false });
    await accepted;
    guard.cancel();
    this.#end();
    await this.#listening;
  }

  /** Drops the connection without a word, as loss of the radio would. */
  async close(): Promise<void> {
    this.#end();
    await this.#listening;
  }

  /** TS 24.301 5.4.2: answers challenges until the network goes on to security mode. */
  async #authenticate(): Promise<Uint8Array> {
    let failures = 0;
    /** Why the UE does not take this network, once it does not. */
    let distrust: (() => AttachError) | undefined;
    for (;;) {
      const message = await this.#plain('Authentication request');
      if (message.type === 'attach-reject') {
        throw new AttachError(
          'ATTACH_REJECTED',
          `The network rejects the attach, EMM cause ${message.cause}.`,
          message.cause,
        );
      }
      if (message.type === 'authentication-reject' && distrust !== undefined) throw distrust();
      if (message.type !== 'authentication-request') throw unexpected(message, 'Authentication request');
      const answer = this.#options.usim.authenticate(message.rand, message.autn);
      const isForEps = (message.autn[6]! & SEPARATION_BIT) !== 0;
      if (answer.outcome === 'success' && isForEps) {
        const res = this.#options.changeRes?.(answer.res) ?? answer.res;
        this.#link.send(encodeEmm({ type: 'authentication-response', res }));
        return deriveKasme(answer, this.#plmn, message.autn.subarray(0, 6));
      }
      if (answer.outcome === 'mac-failure') {
        distrust = networkMacWrong;
        this.#link.send(encodeEmm({ type: 'authentication-failure', cause: EMM_CAUSE.macFailure }));
      } else if (!isForEps) {
        distrust = vectorNotForEps;
        const cause = EMM_CAUSE.nonEpsAuthenticationUnacceptable;
        this.#link.send(encodeEmm({ type: 'authentication-failure', cause }));
      } else if (answer.outcome === 'synch-failure') {
        this.#link.send(
          encodeEmm({ type: 'authentication-failure', cause: EMM_CAUSE.synchFailure, auts: answer.auts }),
        );
      }
      failures += 1;
      if (failures >= MOST_AUTHENTICATION_FAILURES) throw (distrust ?? networkMacWrong)();
    }
  }

  /** TS 24.301 5.4.3, then the attach accept under the new security context. */
  async #takeSecurityMode(kasme: Uint8Array): Promise<Extract<EmmMessage, { type: 'attach-accept' }>> {
    const pdu = await this.#receive('Security mode command');
    if (!isProtected(pdu)) {
      const message = decodeEmm(pdu, 'downlink');
      if (message.type === 'authentication-reject') {
        throw new AttachError('ATTACH_AUTHENTICATION_REJECTED', 'The network found RES wrong (Authentication reject).');
      }
      throw unexpected(message, 'Security mode command');
    }
    const security = new NasSecurity(kasme, 'uplink');
    const refuse = (cause: number, why: string): AttachError => {
      this.#link.send(encodeEmm({ type: 'security-mode-reject', cause }));
      return new AttachError('ATTACH_SECURITY_MODE_REFUSED', why, cause);
    };
    let command: EmmMessage;
    try {
      command = decodeEmm(security.open(pdu), 'downlink');
    } catch (error) {
      if (!(error instanceof NasError)) throw error;
      throw refuse(EMM_CAUSE.protocolError, error.message);
    }
    if (command.type !== 'security-mode-command') throw unexpected(command, 'Security mode command');
    // TS 24.301 5.4.3.3: replayed capabilities that differ mean that somebody changed the attach request.
    if (!Buffer.from(command.capability).equals(CAPABILITY)) {
      throw refuse(
        EMM_CAUSE.ueSecurityCapabilitiesMismatch,
        'The network replays other UE security capabilities than the UE sent.',
      );
    }
    this.#security = security;
    this.#fingerprint = kasmeFingerprint(kasme);
    const complete = security.protect(encodeEmm({ type: 'security-mode-complete' }), 'integrity-ciphered-new-context');
    this.#link.send(this.#options.changeNas?.(complete) ?? complete);
    const accept = decodeEmm(security.open(await this.#receive('Attach accept')), 'downlink');
    if (accept.type === 'attach-reject') {
      throw new AttachError(
        'ATTACH_REJECTED',
        `The network rejects the attach, EMM cause ${accept.cause}.`,
        accept.cause,
      );
    }
    if (accept.type !== 'attach-accept') throw unexpected(accept, 'Attach accept');
    return accept;
  }

  /** What the network sends to an attached UE, until the connection ends. */
  async #listen(): Promise<void> {
    try {
      for (;;) {
        const message = decodeEmm(this.#security!.open(await this.#link.receive()), 'downlink');
        if (message.type === 'detach-accept') this.#detachAccepted?.();
        if (message.type === 'network-detach-request') {
          this.#sendProtected({ type: 'detach-accept' });
          this.#detached('network');
          return;
        }
      }
    } catch {
      // A lost connection and a message that fails its integrity check end in the same way: the UE is on its own.
      this.#detached('connection-lost');
    }
  }

  #detached(reason: 'network' | 'connection-lost'): void {
    const wasRegistered = this.#state === 'EMM-REGISTERED';
    this.#detachAccepted?.();
    this.#end();
    if (wasRegistered) this.#options.onDetached?.(reason);
  }

  #receive(what: string): Promise<Uint8Array> {
    return this.#link.receive({ ms: this.#guardMs, what });
  }

  async #plain(what: string): Promise<EmmMessage> {
    return decodeEmm(await this.#receive(what), 'downlink');
  }

  #sendProtected(message: EmmMessage): void {
    this.#link.send(this.#security!.protect(encodeEmm(message), 'integrity-ciphered'));
  }

  #granted(): BearerGrant {
    if (this.#grant === undefined) throw new AttachError('ATTACH_NOT_ATTACHED', 'The UE has no bearer yet.');
    return this.#grant;
  }

  #end(): void {
    if (this.#state !== 'EMM-DEREGISTERED') this.#to('EMM-DEREGISTERED');
    this.#link.close();
  }

  #to(state: EmmUeState): void {
    if (!NEXT[this.#state].includes(state)) {
      throw new AttachError('ATTACH_PROTOCOL_ERROR', `No way from ${this.#state} to ${state}.`);
    }
    this.#state = state;
  }
}

/**
 * Attaches the UE; each wait is bounded by `guardMs`.
 *
 * @throws AttachError
 */
export async function attach(options: AttachOptions): Promise<EpsAttachment> {
  const attachment = new EpsAttachment(options);
  await attachment.run();
  return attachment;
}

const networkMacWrong = (): AttachError =>
  new AttachError(
    'ATTACH_NETWORK_MAC_WRONG',
    'The UE refuses the network: its MAC is wrong. Compare K and OPc of the USIM and of the network.',
    EMM_CAUSE.macFailure,
  );

/** TS 33.401 6.1.1, TS 24.301 5.4.2.6: a vector of another access, by which K_ASME would not be bound to this one. */
const vectorNotForEps = (): AttachError =>
  new AttachError(
    'ATTACH_NOT_FOR_EPS',
    'The UE refuses the network: the separation bit of its AMF is 0. Set the first bit of the subscriber’s AMF.',
    EMM_CAUSE.nonEpsAuthenticationUnacceptable,
  );

const unexpected = (message: EmmMessage, wanted: string): AttachError =>
  new AttachError('ATTACH_PROTOCOL_ERROR', `The network sent ${message.type} where ${wanted} was due.`);

function asAttachError(error: unknown): unknown {
  if (!(error instanceof NasError)) return error;
  const codes = {
    NAS_TIMEOUT: 'ATTACH_TIMEOUT',
    NAS_CONNECTION_LOST: 'ATTACH_CONNECTION_LOST',
    NAS_INTEGRITY: 'ATTACH_SECURITY_MODE_REFUSED',
    NAS_MALFORMED: 'ATTACH_PROTOCOL_ERROR',
  } as const;
  return new AttachError(codes[error.code], error.message);
}

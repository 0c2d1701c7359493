/**
 * The network's part of step 0 for one UE on one connection: what MME and HSS do in a real network
 * (TS 24.301 5.4.2, 5.4.3, 5.5.1, 5.5.2).
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { decodeEmm, EMM_CAUSE, type EmmMessage, encodeEmm } from '../messages/nas/emm.ts';
import { encodeActivateDefaultBearer } from '../messages/nas/esm.ts';
import type { NasLink } from '../messages/nas/link.ts';
import { NasError } from '../messages/nas/octets.ts';
import type { ConnectivityOptions } from '../messages/nas/pco.ts';
import { isProtected, NasSecurity } from '../messages/nas/security.ts';
import { type Auc, AucError } from '../security/aka/auc.ts';
import { deriveKasme, kasmeFingerprint } from '../security/aka/eps-keys.ts';
import { AccessNetworkError } from './config.ts';

/**
 * ```
 *                  attach request                        attach complete
 *  EMM-DEREGISTERED -----------> COMMON-PROCEDURE-INITIATED -----------> REGISTERED
 *        ^  ^  ^                     | refused, lost, guard                | |
 *        |  |  +---------------------+    UE's detach request, lost        | | detachSubscriber
 *        |  +--------------------------------------------------------------+ v
 *        +------------------------------------------------------- DEREGISTERED-INITIATED
 * ```
 * The network's EMM states (TS 24.301 5.1.3.4).
 */
export type EmmState =
  | 'EMM-DEREGISTERED'
  | 'EMM-COMMON-PROCEDURE-INITIATED'
  | 'EMM-REGISTERED'
  | 'EMM-DEREGISTERED-INITIATED';

const NEXT: Readonly<Record<EmmState, readonly EmmState[]>> = {
  'EMM-DEREGISTERED': ['EMM-COMMON-PROCEDURE-INITIATED'],
  'EMM-COMMON-PROCEDURE-INITIATED': ['EMM-REGISTERED', 'EMM-DEREGISTERED'],
  'EMM-REGISTERED': ['EMM-DEREGISTERED-INITIATED', 'EMM-DEREGISTERED'],
  'EMM-DEREGISTERED-INITIATED': ['EMM-DEREGISTERED'],
};

/** What a context needs of the access network. */
export interface UeContextServices {
  readonly auc: Auc;
  /** SN id, 3 octets. */
  readonly plmn: Uint8Array;
  readonly apn: string;
  readonly guardMs: number;
  /** Where the SIP core is; undefined until the access network has been told. */
  sipCore(): ConnectivityOptions | undefined;
  allocateAddress(imsi: string): string;
  /** The subscriber's Security mode command as it goes out, for scenarios that send a wrong one. */
  changeNas(imsi: string, pdu: Uint8Array): Uint8Array;
  onRegistered(context: UeContext): void;
  onDeregistered(context: UeContext): void;
}

const KSI = 0;
/** TS 24.301 5.4.2.7: one resynchronisation; a second failure in a row is a defect of the USIM. */
const MOST_SYNCH_FAILURES = 1;

export class UeContext {
  readonly #link: NasLink;
  readonly #services: UeContextServices;
  #state: EmmState = 'EMM-DEREGISTERED';
  #security: NasSecurity | undefined;
  #detachAccepted: (() => void) | undefined;
  #detachFailed: ((error: Error) => void) | undefined;
  /** Known from the attach request on. */
  imsi = '';
  pdnAddress = '';
  kasmeFingerprint = '';

  constructor(link: NasLink, services: UeContextServices) {
    this.#link = link;
    this.#services = services;
  }

  get state(): EmmState {
    return this.#state;
  }

  /**
   * Serves the UE until it is detached or its connection ends.
   *
   * @throws NasError why it ended, when that was not a detach
   */
  async serve(): Promise<void> {
    try {
      if (await this.#attach()) await this.#listen();
    } finally {
      if (this.#state !== 'EMM-DEREGISTERED') this.#to('EMM-DEREGISTERED');
      this.#detachFailed?.(
        new AccessNetworkError('ACCESS_NETWORK_DETACH_UNANSWERED', 'The connection ended before Detach accept came.'),
      );
      this.#link.close();
    }
  }

  /** Network-initiated detach without re-attach (TS 24.301 5.5.2.3); resolves when the UE has accepted. */
  async detach(timers: { setTimer(ms: number, callback: () => void): { cancel(): void } }): Promise<void> {
    this.#to('EMM-DEREGISTERED-INITIATED');
    const { guardMs } = this.#services;
    const accepted = new Promise<void>((resolve, reject) => {
      this.#detachAccepted = resolve;
      this.#detachFailed = reject;
    });
    const guard = timers.setTimer(guardMs, () => {
      this.#detachFailed?.(
        new AccessNetworkError('ACCESS_NETWORK_DETACH_UNANSWERED', `Detach accept did not come within ${guardMs} ms.`),
      );
      this.#link.close();
    });
    this.#sendProtected({ type: 'network-detach-request', reattach: false });
    await accepted.finally(() => guard.cancel());
  }

  /** Drops the connection. */
  close(): void {
    this.#link.close();
  }

  async #attach(): Promise<boolean> {
    const request = decodeEmm(await this.#receive('Attach request'), 'uplink');
    if (request.type !== 'attach-request' || request.identity.kind !== 'imsi') {
      throw new NasError('NAS_MALFORMED', `${request.type} where an Attach request with an IMSI was due.`);
    }
    this.#to('EMM-COMMON-PROCEDURE-INITIATED');
    this.imsi = request.identity.imsi;
    const sipCore = this.#services.sipCore();
    if (sipCore === undefined) return this.#reject(EMM_CAUSE.networkFailure);

    const kasme = await this.#authenticate();
    if (kasme === undefined) return false;
    this.#security = new NasSecurity(kasme, 'downlink');
    const command = encodeEmm({ type: 'security-mode-command', ksi: KSI, capability: request.capability });
    const pdu = this.#security.protect(command, 'integrity-new-context');
    this.#link.send(this.#services.changeNas(this.imsi, pdu));
    await this.#expectProtected('security-mode-complete', 'Security mode complete');
    this.kasmeFingerprint = kasmeFingerprint(kasme);

    this.pdnAddress = this.#services.allocateAddress(this.imsi);
    const { plmn, apn } = this.#services;
    const guti = Buffer.concat([plmn, Uint8Array.of(0x80, 0x01, 0x01), randomBytes(4)]);
    // One TAI list of one tracking area, number 1 (TS 24.301 9.9.3.33).
    const taiList = Buffer.concat([Uint8Array.of(0), plmn, Uint8Array.of(0, 1)]);
    const esm = encodeActivateDefaultBearer({ pdnAddress: this.pdnAddress, apn, ...sipCore }, plmn);
    this.#sendProtected({ type: 'attach-accept', taiList, guti, esm });
    await this.#expectProtected('attach-complete', 'Attach complete');
    this.#to('EMM-REGISTERED');
    return true;
  }

  /** EPS AKA (TS 33.401 6.1.1). @returns K_ASME, or undefined when the UE has been turned away */
  async #authenticate(): Promise<Uint8Array | undefined> {
    const { auc, plmn } = this.#services;
    for (let synchFailures = 0; ; ) {
      let vector: Awaited<ReturnType<Auc['vector']>>;
      try {
        vector = await auc.vector(this.imsi);
      } catch (error) {
        if (!(error instanceof AucError)) throw error;
        this.#reject(EMM_CAUSE.epsAndNonEpsServicesNotAllowed);
        return undefined;
      }
      this.#link.send(encodeEmm({ type: 'authentication-request', ksi: KSI, rand: vector.rand, autn: vector.autn }));
      const answer = decodeEmm(await this.#receive('Authentication response'), 'uplink');
      if (answer.type === 'authentication-response') {
        const right = answer.res.length === vector.xres.length && timingSafeEqual(answer.res, vector.xres);
        if (right) return deriveKasme(vector, plmn, vector.autn.subarray(0, 6));
      } else if (answer.type === 'authentication-failure') {
        const { cause, auts = new Uint8Array() } = answer;
        const resynchronised =
          cause === EMM_CAUSE.synchFailure &&
          synchFailures++ < MOST_SYNCH_FAILURES &&
          (await auc.resynchronise(this.imsi, vector.rand, auts));
        if (resynchronised) continue;
      } else {
        throw new NasError('NAS_MALFORMED', `${answer.type} where Authentication response was due.`);
      }
      this.#link.send(encodeEmm({ type: 'authentication-reject' }));
      return undefined;
    }
  }

  async #listen(): Promise<void> {
    this.#services.onRegistered(this);
    try {
      for (;;) {
        const message = this.#open(await this.#link.receive());
        if (message.type === 'detach-request') {
          if (!message.switchOff) this.#sendProtected({ type: 'detach-accept' });
          return;
        }
        if (message.type === 'detach-accept' && this.#state === 'EMM-DEREGISTERED-INITIATED') {
          this.#detachAccepted?.();
          return;
        }
      }
    } finally {
      this.#services.onDeregistered(this);
    }
  }

  #receive(what: string): Promise<Uint8Array> {
    return this.#link.receive({ ms: this.#services.guardMs, what });
  }

  async #expectProtected(type: EmmMessage['type'], what: string): Promise<void> {
    const message = this.#open(await this.#receive(what));
    if (message.type !== type) throw new NasError('NAS_MALFORMED', `${message.type} where ${what} was due.`);
  }

  /** TS 24.301 4.4.4.3: once security is set up, nothing is taken without a right MAC. */
  #open(pdu: Uint8Array): EmmMessage {
    if (!isProtected(pdu))
      throw new NasError('NAS_INTEGRITY', 'The UE sent an unprotected message after security mode.');
    return decodeEmm(this.#security!.open(pdu), 'uplink');
  }

  #sendProtected(message: EmmMessage): void {
    this.#link.send(this.#security!.protect(encodeEmm(message), 'integrity-ciphered'));
  }

  #reject(cause: number): false {
    this.#link.send(encodeEmm({ type: 'attach-reject', cause }));
    return false;
  }

  #to(state: EmmState): void {
    if (!NEXT[this.#state].includes(state)) {
      throw new AccessNetworkError('ACCESS_NETWORK_NOT_ATTACHED', `No way from ${this.#state} to ${state}.`);
    }
    this.#state = state;
  }
}

/**
 * The EMM messages of step 0 (TS 24.301 8.2): encoded and decoded octet by octet, as a real UE and MME exchange them.
 * Integrity protection is another layer, see security.ts.
 */
import type { NasDirection } from '../../security/aka/eps-keys.ts';
import { decodeIdentity, type EpsMobileIdentity, encodeIdentity } from './identity.ts';
import { concat, lv, lve, NasError, OctetReader, tlv } from './octets.ts';

/** TS 24.301 9.9.3.9, those that are used here. */
export const EMM_CAUSE = {
  illegalUe: 3,
  epsAndNonEpsServicesNotAllowed: 8,
  networkFailure: 17,
  macFailure: 20,
  synchFailure: 21,
  ueSecurityCapabilitiesMismatch: 23,
  nonEpsAuthenticationUnacceptable: 26,
  protocolError: 111,
} as const;

/** Octets of EEA and EIA bits (TS 24.301 9.9.3.34); 0x80 is EEA0, 0x20 is 128-EIA2. */
export type UeCapability = Uint8Array;

export type EmmMessage =
  | {
      readonly type: 'attach-request';
      readonly identity: EpsMobileIdentity;
      readonly capability: UeCapability;
      readonly esm: Uint8Array;
    }
  | {
      readonly type: 'attach-accept';
      readonly taiList: Uint8Array;
      readonly guti: Uint8Array;
      readonly esm: Uint8Array;
    }
  | { readonly type: 'attach-complete'; readonly esm: Uint8Array }
  | { readonly type: 'attach-reject'; readonly cause: number }
  | {
      readonly type: 'authentication-request';
      readonly ksi: number;
      readonly rand: Uint8Array;
      readonly autn: Uint8Array;
    }
  | { readonly type: 'authentication-response'; readonly res: Uint8Array }
  | { readonly type: 'authentication-failure'; readonly cause: number; readonly auts?: Uint8Array }
  | { readonly type: 'authentication-reject' }
  | { readonly type: 'security-mode-command'; readonly ksi: number; readonly capability: UeCapability }
  | { readonly type: 'security-mode-complete' }
  | { readonly type: 'security-mode-reject'; readonly cause: number }
  /** From the UE. */
  | { readonly type: 'detach-request'; readonly identity: EpsMobileIdentity; readonly switchOff: boolean }
  /** From the network. */
  | { readonly type: 'network-detach-request'; readonly reattach: boolean }
  | { readonly type: 'detach-accept' };

const EMM = 0x7;
const NO_KEY = 7;
const EPS_ATTACH = 1;
const EPS_ONLY = 1;
/** T3412 = 54 minutes: unit of one decihour, nine of them (TS 24.008 10.5.7.3 value 0x49). */
const T3412 = 0x49;
/** EEA0 and 128-EIA2 (TS 24.301 9.9.3.23). */
const EEA0_EIA2 = 0x02;
const IEI_AUTS = 0x30;
const IEI_GUTI = 0x50;

const TYPES = {
  'attach-request': 0x41,
  'attach-accept': 0x42,
  'attach-complete': 0x43,
  'attach-reject': 0x44,
  'detach-request': 0x45,
  'network-detach-request': 0x45,
  'detach-accept': 0x46,
  'authentication-request': 0x52,
  'authentication-response': 0x53,
  'authentication-reject': 0x54,
  'authentication-failure': 0x5c,
  'security-mode-command': 0x5d,
  'security-mode-complete': 0x5e,
  'security-mode-reject': 0x5f,
} as const satisfies Record<EmmMessage['type'], number>;

function body(message: EmmMessage): Uint8Array {
  switch (message.type) {
    case 'attach-request':
      return concat(
        Uint8Array.of((NO_KEY << 4) | EPS_ATTACH),
        lv(encodeIdentity(message.identity)),
        lv(message.capability),
        lve(message.esm),
      );
    case 'attach-accept':
      return concat(
        Uint8Array.of(EPS_ONLY, T3412),
        lv(message.taiList),
        lve(message.esm),
        tlv(IEI_GUTI, encodeIdentity({ kind: 'guti', guti: message.guti })),
      );
    case 'attach-complete':
      return lve(message.esm);
    case 'attach-reject':
    case 'security-mode-reject':
      return Uint8Array.of(message.cause);
    case 'authentication-request':
      return concat(Uint8Array.of(message.ksi), message.rand, lv(message.autn));
    case 'authentication-response':
      return lv(message.res);
    case 'authentication-failure':
      return concat(
        Uint8Array.of(message.cause),
        message.auts === undefined ? new Uint8Array() : tlv(IEI_AUTS, message.auts),
      );
    case 'security-mode-command':
      return concat(Uint8Array.of(EEA0_EIA2, message.ksi), lv(message.capability));
    case 'detach-request':
      return concat(
        Uint8Array.of((NO_KEY << 4) | (message.switchOff ? 8 : 0) | EPS_ATTACH),
        lv(encodeIdentity(message.identity)),
      );
    case 'network-detach-request':
      return Uint8Array.of(message.reattach ? 1 : 2);
    case 'authentication-reject':
    case 'security-mode-complete':
    case 'detach-accept':
      return new Uint8Array();
  }
}

/** @returns the plain NAS message: protocol discriminator, message type, information elements */
export function encodeEmm(message: EmmMessage): Uint8Array {
  return concat(Uint8Array.of(EMM, TYPES[message.type]), body(message));
}

/**
 * @param octets a plain NAS message
 * @param direction needed because both detach requests have one message type
 * @throws NasError NAS_MALFORMED
 */
export function decodeEmm(octets: Uint8Array, direction: NasDirection): EmmMessage {
  const reader = new OctetReader(octets);
  if (reader.octet('protocol discriminator') !== EMM) {
    throw new NasError('NAS_MALFORMED', 'Not a plain EPS mobility management message.');
  }
  const type = reader.octet('message type');
  switch (type) {
    case TYPES['attach-request']: {
      reader.octet('EPS attach type');
      const identity = decodeIdentity(reader.lv('EPS mobile identity', 5, 11));
      const capability = reader.lv('UE network capability', 2, 13);
      return { type: 'attach-request', identity, capability, esm: reader.lve('ESM message container') };
    }
    case TYPES['attach-accept']: {
      reader.take(2, 'EPS attach result and T3412');
      const taiList = reader.lv('TAI list', 6, 96);
      const esm = reader.lve('ESM message container');
      const guti = reader.optional().get(IEI_GUTI);
      const identity = guti === undefined ? undefined : decodeIdentity(guti);
      if (identity?.kind !== 'guti') throw new NasError('NAS_MALFORMED', 'Attach accept assigns no GUTI.');
      return { type: 'attach-accept', taiList, guti: identity.guti, esm };
    }
    case TYPES['attach-complete']:
      return { type: 'attach-complete', esm: reader.lve('ESM message container') };
    case TYPES['attach-reject']:
      return { type: 'attach-reject', cause: reader.octet('EMM cause') };
    case TYPES['authentication-request']: {
      const ksi = reader.octet('NAS key set identifier') & 7;
      const rand = reader.take(16, 'RAND');
      return { type: 'authentication-request', ksi, rand, autn: reader.lv('AUTN', 16, 16) };
    }
    case TYPES['authentication-response']:
      return { type: 'authentication-response', res: reader.lv('RES', 4, 16) };
    case TYPES['authentication-failure']: {
      const cause = reader.octet('EMM cause');
      const auts = reader.optional().get(IEI_AUTS);
      return { type: 'authentication-failure', cause, ...(auts === undefined ? {} : { auts }) };
    }
    case TYPES['authentication-reject']:
      return { type: 'authentication-reject' };
    case TYPES['security-mode-command']: {
      if (reader.octet('NAS security algorithms') !== EEA0_EIA2) {
        throw new NasError('NAS_MALFORMED', 'The network chose other algorithms than EEA0 and 128-EIA2.');
      }
      const ksi = reader.octet('NAS key set identifier') & 7;
      return { type: 'security-mode-command', ksi, capability: reader.lv('UE security capability', 2, 5) };
    }
    case TYPES['security-mode-complete']:
      return { type: 'security-mode-complete' };
    case TYPES['security-mode-reject']:
      return { type: 'security-mode-reject', cause: reader.octet('EMM cause') };
    case TYPES['detach-request']: {
      const detachType = reader.octet('detach type');
      if (direction === 'downlink') return { type: 'network-detach-request', reattach: (detachType & 7) === 1 };
      const identity = decodeIdentity(reader.lv('EPS mobile identity', 5, 11));
      return { type: 'detach-request', identity, switchOff: (detachType & 8) !== 0 };
    }
    case TYPES['detach-accept']:
      return { type: 'detach-accept' };
    default:
      throw new NasError('NAS_MALFORMED', `EMM message type 0x${type.toString(16)} is not known here.`);
  }
}

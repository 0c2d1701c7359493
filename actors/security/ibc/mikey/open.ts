import { createHash } from 'node:crypto';
import type { EccsiVerifier } from '../eccsi-native.ts';
import type { SakkeEngine } from '../engine.ts';
import { IbcError } from '../errors.ts';
import type { KmsCertificate, UserKeySet } from '../key-set.ts';
import { equal } from '../octets.ts';
import { acceptedKeyPeriods, acceptedUids } from '../uid.ts';
import { type ParsedMessage, parseMessage } from './parse.ts';
import {
  DATA_TYPE_SAKKE,
  ID_SCHEME_3GPP_UID,
  IDR_ROLE,
  type Payload,
  PRF_HMAC_SHA_256,
  SAKKE_PARAMS_1,
  SIGN_ECCSI,
} from './payloads.ts';
import type { ReplayCache } from './replay.ts';
import { fromNtp } from './timestamp.ts';

/** A departure from the specifications that is known of other vendors, accepted and reported. */
export type Deviation =
  /** g^r hashed without its leading zero octets (RFC 6508 section 4 wants all 128). */
  | 'stripped-mask'
  /** The signature stops before the SIGN header (RFC 3830 section 5.2 includes it). */
  | 'sign-header-not-covered';

export interface OpenOptions {
  readonly engine: SakkeEngine;
  readonly verifier: EccsiVerifier;
  /** The receiver's key sets, any number of key periods; those that fit the message are tried. */
  readonly keySets: readonly UserKeySet[];
  /** The certificate of the receiver's KMS. */
  readonly certificate: KmsCertificate;
  /** Who alone may have sent the message. */
  readonly expectedSender: string;
  /** The certificate of the sender's KMS, where it is another one. */
  readonly senderCertificate?: KmsCertificate;
  /** Milliseconds since 1970 (UTC). */
  readonly now: number;
  /** How far T may lie from now, either way, in milliseconds; 5 minutes unless told. */
  readonly window?: number;
  readonly replayCache: ReplayCache;
  /** Told of each deviation, so that it can be counted and reported. */
  readonly onDeviation?: (deviation: Deviation) => void;
}

/** An I_MESSAGE whose sender is verified and whose SSV is open. */
export interface OpenedMessage {
  /** 16 octets, secret: zero it when done. */
  readonly ssv: Uint8Array;
  readonly message: ParsedMessage;
  /** T, in milliseconds since 1970. */
  readonly sentAt: number;
  readonly timestamp: Uint8Array;
  readonly rand: Uint8Array;
  /** The key set that opened it. */
  readonly keySet: UserKeySet;
  readonly deviations: readonly Deviation[];
}

const DEFAULT_WINDOW = 5 * 60_000;

/**
 * Verifies and opens an I_MESSAGE, cheapest check first: form, time, sender's identity, signature, receiver, replay, SAKKE.
 * Throws `message-malformed`, `message-unsupported`, `message-too-old`, `message-in-future`, `certificate-mismatch`,
 * `wrong-sender`, `signature-invalid`, `message-replayed`, `wrong-receiver`, `no-key-set`, and what `decapsulate` throws.
 */
export async function openIMessage(octets: Uint8Array, options: OpenOptions): Promise<OpenedMessage> {
  const message = parseMessage(octets);
  const fields = requiredFields(message);
  const window = options.window ?? DEFAULT_WINDOW;
  const sentAt = fromNtp(fields.timestamp.value);
  checkTime(sentAt, options.now, window);
  checkKms(message, options);

  const deviations: Deviation[] = [];
  const report = (deviation: Deviation) => {
    deviations.push(deviation);
    options.onDeviation?.(deviation);
  };

  if (verifySender(octets, message, fields.sign.signature, sentAt, options) === 'without-header') {
    report('sign-header-not-covered');
  }
  const keySets = receiverKeySets(message, sentAt, options);
  // Over what is signed, not over the signature: (r, -s) verifies as well as (r, s), and anybody can write it.
  const digest = createHash('sha256').update(octets.subarray(0, message.signedLength)).digest('hex');
  if (!(await options.replayCache.admit(digest, sentAt, sentAt + window, options.now))) {
    throw new IbcError('message-replayed', 'this I_MESSAGE was accepted before; the sender must seal a fresh one');
  }
  const { ssv, maskForm, keySet } = await decapsulateWithAny(keySets, fields.sakke.sed, options).catch(
    async (error: unknown) => {
      await options.replayCache.withdraw(digest);
      throw error;
    },
  );
  if (maskForm === 'stripped') report('stripped-mask');
  return {
    ssv,
    message,
    sentAt,
    timestamp: fields.timestamp.value,
    rand: fields.rand.rand,
    keySet,
    deviations,
  };
}

/** The one payload of a kind; undefined when there is none. `message-malformed` when there are two: which one counts? */
export function single<K extends Payload['kind']>(
  message: ParsedMessage,
  kind: K,
): Extract<Payload, { kind: K }> | undefined {
  const found = message.payloads.filter((payload) => payload.kind === kind) as Extract<Payload, { kind: K }>[];
  if (found.length > 1)
    throw new IbcError('message-malformed', `${found.length} payloads of kind ${kind} instead of one`);
  return found[0];
}

function requiredFields(message: ParsedMessage) {
  const { header } = message;
  if (header.dataType !== DATA_TYPE_SAKKE) {
    throw new IbcError('message-unsupported', `MIKEY data type ${header.dataType} is not an I_MESSAGE (26)`);
  }
  if (header.prf !== PRF_HMAC_SHA_256) throw new IbcError('message-unsupported', `PRF function ${header.prf} is not 1`);
  const timestamp = single(message, 'timestamp');
  const rand = single(message, 'rand');
  const sakke = single(message, 'sakke');
  const sign = single(message, 'sign');
  if (timestamp === undefined || rand === undefined || sakke === undefined || sign === undefined) {
    throw new IbcError('message-malformed', 'an I_MESSAGE needs T, RAND, SAKKE and SIGN (RFC 6509 section 4.1)');
  }
  if (timestamp.tsType !== 0) throw new IbcError('message-unsupported', 'T must be an NTP-UTC timestamp (type 0)');
  if (rand.rand.length < 16) throw new IbcError('message-malformed', 'RAND needs 16 octets (RFC 3830 section 6.11)');
  if (sakke.params !== SAKKE_PARAMS_1 || sakke.idScheme !== ID_SCHEME_3GPP_UID) {
    throw new IbcError('message-unsupported', 'SAKKE must use parameter set 1 and identifier scheme 2 (TS 33.180 UID)');
  }
  if (sign.signType !== SIGN_ECCSI)
    throw new IbcError('message-unsupported', `signature type ${sign.signType} is not ECCSI (2)`);
  return { timestamp, rand, sakke, sign };
}

function checkTime(sentAt: number, now: number, window: number): void {
  const age = Math.round((now - sentAt) / 1000);
  if (now - sentAt > window)
    throw new IbcError('message-too-old', `sent ${age} s ago, the window is ${window / 1000} s`);
  if (sentAt - now > window)
    throw new IbcError('message-in-future', `sent ${-age} s ahead of this clock: compare the clocks`);
}

/** IDRkmsi and IDRkmsr, where present, name the KMSs whose certificates are held. */
function checkKms(message: ParsedMessage, options: OpenOptions): void {
  const senderKms = identity(message, IDR_ROLE.initiatorKms);
  const receiverKms = identity(message, IDR_ROLE.responderKms);
  const expected = (options.senderCertificate ?? options.certificate).kmsUri;
  if (senderKms !== undefined && toText(senderKms) !== expected) {
    throw new IbcError('certificate-mismatch', 'IDRkmsi names a KMS other than that of the sender certificate held');
  }
  if (receiverKms !== undefined && toText(receiverKms) !== options.certificate.kmsUri) {
    throw new IbcError('certificate-mismatch', 'IDRkmsr names a KMS other than that of the certificate held');
  }
}

function verifySender(
  octets: Uint8Array,
  message: ParsedMessage,
  signature: Uint8Array,
  sentAt: number,
  options: OpenOptions,
): 'complete' | 'without-header' {
  const certificate = options.senderCertificate ?? options.certificate;
  const uids = acceptedUids(options.expectedSender, certificate, sentAt).filter((uid) =>
    namesParty(message, uid, options.expectedSender, IDR_ROLE.initiatorUid, IDR_ROLE.initiator),
  );
  if (uids.length === 0) {
    throw new IbcError('wrong-sender', 'IDRi is not the expected sender in the key period of T or a neighbouring one');
  }
  for (const form of ['complete', 'without-header'] as const) {
    const covered = octets.subarray(0, message.signedLength - (form === 'complete' ? 0 : 2));
    if (uids.some((uid) => options.verifier.verify(certificate.pubAuthKey, uid, covered, signature))) return form;
  }
  throw new IbcError(
    'signature-invalid',
    'the ECCSI signature does not verify: the message was changed or signed by another',
  );
}

/** The receiver's key sets that IDRr and T allow, the period of T first. */
function receiverKeySets(message: ParsedMessage, sentAt: number, options: OpenOptions): UserKeySet[] {
  const periods = acceptedKeyPeriods(options.certificate, sentAt);
  const named = options.keySets.filter(({ uid, userUri }) =>
    namesParty(message, uid, userUri, IDR_ROLE.responderUid, IDR_ROLE.responder),
  );
  const usable = periods.flatMap((no) => named.filter(({ keyPeriodNo }) => keyPeriodNo === no));
  if (usable.length > 0) return usable;
  const forUs = options.keySets.some(({ userUri }) =>
    acceptedUids(userUri, options.certificate, sentAt).some((uid) =>
      namesParty(message, uid, userUri, IDR_ROLE.responderUid, IDR_ROLE.responder),
    ),
  );
  throw forUs
    ? new IbcError('no-key-set', `no key set is held for key period ${periods[0]}: ask the KMS (keyprov)`)
    : new IbcError('wrong-receiver', 'IDRr names somebody else');
}

async function decapsulateWithAny(keySets: readonly UserKeySet[], sed: Uint8Array, options: OpenOptions) {
  for (const [index, keySet] of keySets.entries()) {
    try {
      const opened = await options.engine.decapsulate(options.certificate.pubEncKey, keySet.uid, keySet.rsk, sed);
      return { ...opened, keySet };
    } catch (error) {
      const another = index + 1 < keySets.length;
      if (!(another && error instanceof IbcError && error.code === 'sakke-test-failed')) throw error;
    }
  }
  throw new IbcError('no-key-set', 'no key set is held');
}

/** Whether the IDR of a role names this party: by UID, by URI, or by not being there at all (RFC 6509 section 4.1). */
function namesParty(message: ParsedMessage, uid: Uint8Array, uri: string, uidRole: number, uriRole: number): boolean {
  const hashed = identity(message, uidRole);
  const plain = identity(message, uriRole);
  return (hashed === undefined || equal(hashed, uid)) && (plain === undefined || toText(plain) === uri);
}

function identity(message: ParsedMessage, role: number): Uint8Array | undefined {
  const found = message.payloads.filter((payload) => payload.kind === 'idr' && payload.role === role);
  if (found.length > 1) throw new IbcError('message-malformed', `${found.length} IDR payloads of role ${role}`);
  return found[0]?.kind === 'idr' ? found[0].data : undefined;
}

function toText(octets: Uint8Array): string {
  return Buffer.from(octets).toString('utf8');
}

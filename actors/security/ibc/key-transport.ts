import type { SakkeEngine } from './engine.ts';
import { IbcError } from './errors.ts';
import type { KmsCertificate } from './key-set.ts';
import { buildIMessage, freshRand } from './mikey/build.ts';
import { type KemacContext, openKemac, sealKemac } from './mikey/kemac.ts';
import { type Deviation, type OpenOptions, openIMessage, single } from './mikey/open.ts';
import { toNtp } from './mikey/timestamp.ts';
import { equal, expectLength, zero } from './octets.ts';
import { generateSsv } from './sakke.ts';
import type { IdentitySigner } from './signer.ts';
import { computeUid, keyPeriodNoAt } from './uid.ts';

/**
 * A 256-bit key from one identity to another in a MIKEY-SAKKE I_MESSAGE: a fresh SSV sealed to the receiver's UID, the key in a
 * KEMAC payload under keys derived from the SSV (mikey/kemac.ts says why and how), all of it signed by the sender's UID.
 */

export const CEK_OCTETS = 32;
export const KEY_ID_OCTETS = 4;

export interface SealOptions {
  readonly engine: SakkeEngine;
  /** 32 octets; stays the caller's to zero. */
  readonly key: Uint8Array;
  /** 4 octets; also the CSB ID. */
  readonly keyId: Uint8Array;
  /** The sender, in the key period of `time` or a neighbouring one. */
  readonly sender: IdentitySigner;
  readonly receiverUri: string;
  /** The certificate of the receiver's KMS. */
  readonly certificate: KmsCertificate;
  /** The certificate of the sender's KMS, where it is another one. */
  readonly senderCertificate?: KmsCertificate;
  /** The T payload, in milliseconds since 1970 (UTC): it also fixes the receiver's key period. */
  readonly time: number;
}

/** Seals a key; about 700 octets. `bad-length`, `no-key-set` when the sender's key period is not that of the time. */
export async function sealKey(options: SealOptions): Promise<Uint8Array> {
  const { engine, key, keyId, sender, certificate, time } = options;
  expectLength(key, CEK_OCTETS, 'the key');
  expectLength(keyId, KEY_ID_OCTETS, 'the Key ID');
  const senderCertificate = options.senderCertificate ?? certificate;
  if (Math.abs(sender.keyPeriodNo - keyPeriodNoAt(senderCertificate, time)) > 1) {
    throw new IbcError(
      'no-key-set',
      `the sender's key set is of key period ${sender.keyPeriodNo}: ask the KMS for the current one`,
    );
  }
  const receiverUid = computeUid(options.receiverUri, certificate, keyPeriodNoAt(certificate, time));
  const ssv = generateSsv();
  try {
    const context: KemacContext = { ssv, csbId: keyId, rand: freshRand(), timestamp: toNtp(time) };
    return buildIMessage(
      {
        csbId: keyId,
        timestamp: context.timestamp,
        rand: context.rand,
        receiverUid,
        senderKmsUri: senderCertificate.kmsUri,
        receiverKmsUri: certificate.kmsUri,
        sed: await engine.encapsulate(certificate.pubEncKey, receiverUid, ssv),
        more: (next) => sealKemac(context, { senderUri: sender.userUri, key, keyId }, next),
      },
      sender,
    );
  } finally {
    zero(ssv);
  }
}

/** A key that came from the expected sender, for this receiver, once. */
export interface OpenedKey {
  /** 32 octets, secret; zero it when done. */
  readonly key: Uint8Array;
  /** 4 octets. */
  readonly keyId: Uint8Array;
  readonly senderUri: string;
  readonly receiverUri: string;
  readonly keyPeriodNo: number;
  /** T, in milliseconds since 1970 (UTC). */
  readonly sentAt: number;
  readonly deviations: readonly Deviation[];
}

/**
 * Opens what {@link sealKey} made. Throws what `openIMessage` throws, `message-malformed` without KEMAC, and `kemac-invalid` when
 * the KEMAC's MAC, sender or Key ID is wrong or the key has not 32 octets.
 */
export async function openKey(octets: Uint8Array, options: OpenOptions): Promise<OpenedKey> {
  const opened = await openIMessage(octets, options);
  try {
    const kemac = single(opened.message, 'kemac');
    if (kemac === undefined)
      throw new IbcError('message-malformed', 'the I_MESSAGE carries no KEMAC payload, so no 256-bit key');
    const { csbId } = opened.message.header;
    const content = openKemac({ ssv: opened.ssv, csbId, rand: opened.rand, timestamp: opened.timestamp }, kemac);
    if (
      content.senderUri !== options.expectedSender ||
      !equal(content.keyId, csbId) ||
      content.key.length !== CEK_OCTETS
    ) {
      zero(content.key);
      throw new IbcError(
        'kemac-invalid',
        'the KEMAC does not hold a 256-bit key of the expected sender under the CSB ID',
      );
    }
    return {
      key: content.key,
      keyId: content.keyId,
      senderUri: content.senderUri,
      receiverUri: opened.keySet.userUri,
      keyPeriodNo: opened.keySet.keyPeriodNo,
      sentAt: opened.sentAt,
      deviations: opened.deviations,
    };
  } finally {
    zero(opened.ssv);
  }
}

import { createCipheriv, createHmac } from 'node:crypto';
import { IbcError } from '../errors.ts';
import { concat, equal, zero } from '../octets.ts';
import { type Body, chain, ID_TYPE_URI, idBody, PAYLOAD, type Payload, Reader, uint16 } from './payloads.ts';
import { KEY_CONSTANT, keyLabel, prf } from './prf.ts';

/**
 * The KEMAC payload (RFC 3830 section 6.2) under keys derived from the SSV: a choice of this project, because SAKKE parameter
 * set 1 transports 128 bits and a CEK has 256. It follows MIKEY's public-key mode (RFC 3830 section 3.2) with the SSV in the
 * place of the envelope key:
 *
 *     KEMAC = E(encr_key, IDi || {key}) || MAC
 *
 * - encr_key, auth_key and salt_key by MIKEY's PRF from the SSV, CSB ID and RAND (section 4.1.4);
 * - encryption AES-CM-128, MIKEY's mandatory default, IV = (salt_key xor (0x0000 || CSB ID || T)) || 0x0000 (section 4.2.3);
 *   AES-CM-256 would add nothing over an SSV of 128 bits, and the SSV is fresh for each message, so no IV comes twice;
 * - MAC HMAC-SHA-256-256 (RFC 6043 section 6.2) over the KEMAC payload from its first octet to the MAC alg field;
 * - the first sub-payload is the sender's identity in clear text under the encryption, for the IDRi outside carries a hash;
 * - the key is a Key Data sub-payload of type TEK (section 6.13), used as it is, with its Key ID as SPI/MKI.
 */
const AES_CM_128 = 1;
const HMAC_SHA_256_256 = 2;
const KEY_TYPE_TEK = 2;
const KV_SPI = 1;

/** What the keys of a KEMAC are derived from. */
export interface KemacContext {
  /** 16 octets, secret. */
  readonly ssv: Uint8Array;
  /** 4 octets. */
  readonly csbId: Uint8Array;
  readonly rand: Uint8Array;
  /** The 8 octets of the T payload. */
  readonly timestamp: Uint8Array;
}

/** What a KEMAC carries. */
export interface KemacContent {
  readonly senderUri: string;
  /** Secret; 32 octets for a CEK. */
  readonly key: Uint8Array;
  /** 1 to 255 octets; 4 for a CEK. */
  readonly keyId: Uint8Array;
}

/** Builds the payload; `next` is the type of the one behind it, which the MAC covers too. */
export function sealKemac(context: KemacContext, content: KemacContent, next: number): Body {
  const keys = deriveKeys(context);
  const keyData = concat(
    Uint8Array.of((KEY_TYPE_TEK << 4) | KV_SPI),
    uint16(content.key.length),
    content.key,
    Uint8Array.of(content.keyId.length),
    content.keyId,
  );
  const plain = chain(
    [idBody(Buffer.from(content.senderUri, 'utf8')), { type: PAYLOAD.keyData, octets: keyData }],
    PAYLOAD.last,
  );
  try {
    const encrypted = aesCm(keys, plain.octets);
    const body = concat(
      Uint8Array.of(AES_CM_128),
      uint16(encrypted.length),
      encrypted,
      Uint8Array.of(HMAC_SHA_256_256),
    );
    return { type: PAYLOAD.kemac, octets: concat(body, mac(keys, concat(Uint8Array.of(next), body))) };
  } finally {
    zero(keys.encryption, keys.authentication, keys.salt, keyData, plain.octets);
  }
}

/**
 * Opens the payload. `message-unsupported` for other algorithms, `kemac-invalid` when the MAC is wrong or the content is not
 * IDi and one TEK with an SPI. The key is the caller's to zero.
 */
export function openKemac(context: KemacContext, kemac: Extract<Payload, { kind: 'kemac' }>): KemacContent {
  if (kemac.encryption !== AES_CM_128 || kemac.macAlgorithm !== HMAC_SHA_256_256) {
    throw new IbcError('message-unsupported', 'a KEMAC must use AES-CM-128 (1) and HMAC-SHA-256-256 (2)');
  }
  const keys = deriveKeys(context);
  let plain: Uint8Array | undefined;
  try {
    const covered = kemac.octets.subarray(0, kemac.octets.length - kemac.mac.length);
    if (!equal(mac(keys, covered), kemac.mac))
      throw new IbcError('kemac-invalid', 'the MAC of the KEMAC payload is wrong');
    plain = aesCm(keys, kemac.encrypted);
    return parseContent(plain);
  } finally {
    zero(keys.encryption, keys.authentication, keys.salt, plain);
  }
}

function parseContent(plain: Uint8Array): KemacContent {
  const reader = new Reader(plain);
  const idNext = reader.uint8('KEMAC ID');
  const idType = reader.uint8('KEMAC ID');
  const id = reader.take(reader.uint16('KEMAC ID'), 'KEMAC ID');
  if (idNext !== PAYLOAD.keyData || idType !== ID_TYPE_URI) {
    throw new IbcError('kemac-invalid', 'the KEMAC must hold IDi (a URI) and then Key Data');
  }
  const keyNext = reader.uint8('Key Data');
  const typeAndKv = reader.uint8('Key Data');
  if (keyNext !== PAYLOAD.last || typeAndKv !== ((KEY_TYPE_TEK << 4) | KV_SPI)) {
    throw new IbcError('kemac-invalid', 'the KEMAC must hold one key of type TEK with an SPI');
  }
  const key = reader.take(reader.uint16('Key Data'), 'Key Data');
  const keyId = reader.take(reader.uint8('SPI'), 'SPI');
  if (reader.left > 0) throw new IbcError('kemac-invalid', 'octets follow the Key Data');
  return { senderUri: Buffer.from(id).toString('utf8'), key, keyId };
}

interface KemacKeys {
  readonly encryption: Uint8Array;
  readonly authentication: Uint8Array;
  readonly salt: Uint8Array;
  readonly iv: Uint8Array;
}

function deriveKeys({ ssv, csbId, rand, timestamp }: KemacContext): KemacKeys {
  const derive = (constant: number, length: number) => prf(ssv, keyLabel(constant, 0xff, csbId, rand), length);
  const salt = derive(KEY_CONSTANT.salt, 14);
  const input = concat(Uint8Array.of(0, 0), csbId, timestamp);
  const iv = new Uint8Array(16);
  for (let index = 0; index < salt.length; index++) iv[index] = salt[index]! ^ input[index]!;
  return {
    encryption: derive(KEY_CONSTANT.encryption, 16),
    authentication: derive(KEY_CONSTANT.authentication, 32),
    salt,
    iv,
  };
}

function aesCm(keys: KemacKeys, octets: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = createCipheriv('aes-128-ctr', keys.encryption, keys.iv).update(octets);
  return new Uint8Array(buffer, byteOffset, length); // the cipher's own memory: to zero it zeroes all there is
}

function mac(keys: KemacKeys, covered: Uint8Array): Uint8Array {
  return createHmac('sha256', keys.authentication).update(covered).digest();
}

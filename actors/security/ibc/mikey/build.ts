import { randomBytes } from 'node:crypto';
import { concat, expectLength } from '../octets.ts';
import type { IdentitySigner } from '../signer.ts';
import {
  type Body,
  chain,
  DATA_TYPE_SAKKE,
  IDR_ROLE,
  idrBody,
  PAYLOAD,
  PRF_HMAC_SHA_256,
  randBody,
  SIGN_ECCSI,
  sakkeBody,
  timestampBody,
} from './payloads.ts';

/** The fields of an I_MESSAGE in the order in which they are sent. */
export interface IMessageFields {
  /** CSB ID, 4 octets: the identifier of the transported key. */
  readonly csbId: Uint8Array;
  /** The 8 octets of T. */
  readonly timestamp: Uint8Array;
  /** At least 16 octets (RFC 3830 section 6.11). */
  readonly rand: Uint8Array;
  /** 32 octets, IDRr as a UID (TS 33.180 E.7): the identity itself stays hidden. */
  readonly receiverUid: Uint8Array;
  readonly senderKmsUri: string;
  readonly receiverKmsUri: string;
  /** SAKKE encapsulated data, 273 octets. */
  readonly sed: Uint8Array;
  /** What follows the SAKKE payload, given the type of what follows that: a KEMAC, or nothing. */
  readonly more?: (next: number) => Body;
}

/** 16 fresh octets for the RAND payload. */
export function freshRand(): Uint8Array {
  return new Uint8Array(randomBytes(16));
}

/**
 * Builds and signs HDR, T, RAND, IDRi, IDRr, IDRkmsi, IDRkmsr, SAKKE, [KEMAC], SIGN (RFC 6509 section 4.1). The CS ID map is the
 * empty one (RFC 4563): no crypto session is set up. The signature covers everything up to and including the SIGN header.
 */
export function buildIMessage(fields: IMessageFields, signer: IdentitySigner): Uint8Array {
  expectLength(fields.csbId, 4, 'the CSB ID');
  const bodies = [
    timestampBody(fields.timestamp),
    randBody(fields.rand),
    idrBody(IDR_ROLE.initiatorUid, signer.uid),
    idrBody(IDR_ROLE.responderUid, fields.receiverUid),
    idrBody(IDR_ROLE.initiatorKms, Buffer.from(fields.senderKmsUri, 'utf8')),
    idrBody(IDR_ROLE.responderKms, Buffer.from(fields.receiverKmsUri, 'utf8')),
    sakkeBody(fields.sed),
    ...(fields.more === undefined ? [] : [fields.more(PAYLOAD.sign)]),
  ];
  const { first, octets } = chain(bodies, PAYLOAD.sign);
  const header = concat(
    Uint8Array.of(1, DATA_TYPE_SAKKE, first, PRF_HMAC_SHA_256),
    fields.csbId,
    Uint8Array.of(0, 1), // #CS = 0, map type 1: empty
  );
  const covered = concat(header, octets, SIGN_HEADER);
  return concat(covered, signer.sign(covered));
}

/** S type ECCSI in four bits, length 129 in twelve (RFC 3830 section 6.5, RFC 6509 section 4.3). */
const SIGN_HEADER = Uint8Array.of((SIGN_ECCSI << 4) | (129 >> 8), 129 & 0xff);

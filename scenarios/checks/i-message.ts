/** What step 3b reads of a MIKEY-SAKKE I_MESSAGE (RFC 6509, TS 33.180 E) from outside: all but what only its receiver can open. */
import { expect } from 'chai';
import { parseKmsResponse } from '../../actors/messages/kms/response.ts';
import { EccsiVerifier } from '../../actors/security/ibc/eccsi-native.ts';
import type { KmsCertificate } from '../../actors/security/ibc/key-set.ts';
import { parseMessage } from '../../actors/security/ibc/mikey/parse.ts';
import { IDR_ROLE, type Payload } from '../../actors/security/ibc/mikey/payloads.ts';
import { acceptedKeyPeriods, computeUid } from '../../actors/security/ibc/uid.ts';
import type { StepContext } from '../../sim/scenario/scenario.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';
import { reading } from './reading.ts';
import { body } from './sip.ts';
import { hasElement } from './xml.ts';

/** The KMS certificate that this UE got, in a KmsInit; public. */
export function kmsCertificate(t: StepContext, ue: string): KmsCertificate {
  const init = t
    .records({ interface: 'HTTP-1', actor: ue, status: 200, where: (r) => hasElement(body(r), 'KmsInit') }, 'all')
    .at(-1);
  expect(init, 'a KmsInit for the UE').not.to.equal(undefined);
  const octets = Buffer.from(body(t.about(init!)), 'latin1');
  const { message } = reading('the KmsInit', () => parseKmsResponse(octets));
  if (message?.type !== 'init') return expect.fail('the KmsInit holds no KmsCertificate');
  return message.certificate;
}

/** Octets that the KEMAC encrypts round a CEK: identity payload, then a Key Data sub-payload with the Key ID as SPI. */
const encryptedLength = (kmsUri: string): number => 4 + kmsUri.length + 4 + 32 + 1 + 4;

type Of<K extends Payload['kind']> = Extract<Payload, { kind: K }>;

/**
 * Asserts the form of an I_MESSAGE, that the KMS signed it, and for whom it is.
 * @returns its RAND and SAKKE payload, hex, which no other message may have
 */
export function expectIMessage(
  octets: Uint8Array,
  expected: { keyId: string; receiver: string; certificate: KmsCertificate; record: MessageRecord },
): { rand: string; sakke: string } {
  const { certificate, record } = expected;
  const { header, payloads, signedLength } = reading('the I_MESSAGE', () => parseMessage(octets));
  const of = <K extends Payload['kind']>(kind: K): Of<K>[] => payloads.filter((p): p is Of<K> => p.kind === kind);
  expect(header.dataType, 'MIKEY data type: SAKKE init').to.equal(26);
  expect(Buffer.from(header.csbId).toString('hex'), 'CSB ID').to.equal(expected.keyId);
  const [sakke, kemac, sign, rand] = [of('sakke')[0], of('kemac')[0], of('sign')[0], of('rand')[0]];
  expect([sakke, kemac, rand], 'SAKKE, KEMAC and RAND payloads').not.to.include(undefined);
  expect(kemac!.encryption, 'encryption of the KEMAC; 0 is in clear').not.to.equal(0);
  expect(kemac!.encrypted.length, 'octets in the KEMAC, for a CEK of 256 bits').to.equal(
    encryptedLength(certificate.kmsUri),
  );
  const uids = (uri: string): string[] =>
    acceptedKeyPeriods(certificate, record.time).map((no) =>
      Buffer.from(computeUid(uri, certificate, no)).toString('hex'),
    );
  const receiver = of('idr').find(({ role }) => role === IDR_ROLE.responderUid);
  expect(uids(expected.receiver), `UIDs of ${expected.receiver}, to whom the CEK is to be sealed`).to.include(
    Buffer.from(receiver?.data ?? []).toString('hex'),
  );
  const verifier = new EccsiVerifier();
  const covered = [octets.subarray(0, signedLength), octets.subarray(0, signedLength - 2)];
  const isSignedBy = (uid: string, part: Uint8Array): boolean =>
    verifier.verify(certificate.pubAuthKey, Buffer.from(uid, 'hex'), part, sign!.signature);
  const signed = reading('the signature of the I_MESSAGE', () =>
    uids(certificate.kmsUri).some((uid) => covered.some((part) => isSignedBy(uid, part))),
  );
  expect(signed, 'ECCSI signature of the KMS over the I_MESSAGE is good').to.equal(true);
  return { rand: Buffer.from(rand!.rand).toString('hex'), sakke: Buffer.from(sakke!.sed).toString('hex') };
}

/** KmsResponse (TS 33.180 clause D.3.1): a KmsMessage, or a KmsError. */
import { childOf, childrenOf, type XmlElement, xmlElement } from '../xml.ts';
import { type Cek, cekAckElement, cekElement, readCek, readCekAck } from './cek.ts';
import { RESPONSE_BOUNDS } from './guard.ts';
import {
  type KmsCertificate,
  type KmsKeySet,
  kmsCertificateElement,
  kmsKeySetElement,
  readKmsCertificate,
  readKmsKeySet,
} from './key-material.ts';
import { CEK_NAMESPACE, KMS_NAMESPACE } from './namespaces.ts';
import { readKmsDocument, writeKmsDocument } from './schema.ts';
import { dateTime, defined, requiredChild, requiredText, textOf, timeOf, unexpected } from './values.ts';

export type KmsMessage =
  | { readonly type: 'init'; readonly certificate: KmsCertificate }
  | { readonly type: 'key-prov'; readonly keySets: readonly KmsKeySet[]; readonly ceks: readonly Cek[] }
  | { readonly type: 'cert-cache'; readonly cacheNum: number; readonly certificates: readonly KmsCertificate[] }
  /** Answer to a CekEnd: the Key IDs that have ended by it. */
  | { readonly type: 'cek-ack'; readonly keyIds: readonly string[] };

export interface KmsError {
  readonly code: number;
  readonly message: string;
}

export interface KmsResponse {
  readonly userUri: string;
  readonly kmsUri: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly kmsId?: string;
  readonly clientReqUrl: string;
  readonly message?: KmsMessage;
  readonly error?: KmsError;
}

const element = (name: string, content: string | readonly XmlElement[], attributes: Record<string, string> = {}) =>
  xmlElement(KMS_NAMESPACE, name, content, attributes);

export function buildKmsResponse(response: KmsResponse): Uint8Array {
  const { message, error, kmsId } = response;
  return writeKmsDocument(
    element(
      'KmsResponse',
      [
        element('UserUri', response.userUri),
        element('KmsUri', response.kmsUri),
        element('Time', dateTime(response.time)),
        ...(kmsId === undefined ? [] : [element('KmsId', kmsId)]),
        element('ClientReqUrl', response.clientReqUrl),
        ...(message === undefined ? [] : [element('KmsMessage', [messageElement(message)])]),
        ...(error === undefined
          ? []
          : [
              element('KmsError', [element('ErrorCode', String(error.code)), element('ErrorMsg', error.message)], {
                Version: '1.0.0',
              }),
            ]),
      ],
      { Version: '1.0.0' },
    ),
  );
}

function messageElement(message: KmsMessage): XmlElement {
  switch (message.type) {
    case 'init':
      return element('KmsInit', [kmsCertificateElement(message.certificate)], { Version: '1.0.0' });
    case 'key-prov':
      return element('KmsKeyProv', [...message.keySets.map(kmsKeySetElement), ...message.ceks.map(cekElement)], {
        Version: '1.0.0',
      });
    case 'cert-cache':
      return element('KmsCertCache', message.certificates.map(kmsCertificateElement), {
        Version: '1.0.0',
        CacheNum: String(message.cacheNum),
      });
    case 'cek-ack':
      return cekAckElement(message.keyIds);
  }
}

/** @throws KmsMessageError */
export function parseKmsResponse(octets: Uint8Array): KmsResponse {
  const root = readKmsDocument(octets, RESPONSE_BOUNDS);
  if (root.name !== 'KmsResponse') throw unexpected(`<${root.name}> where <KmsResponse> belongs`);
  const message = childOf(root, 'KmsMessage')?.children[0];
  const error = childOf(root, 'KmsError');
  return {
    userUri: requiredText(root, 'UserUri'),
    kmsUri: requiredText(root, 'KmsUri'),
    time: timeOf(requiredText(root, 'Time')),
    clientReqUrl: requiredText(root, 'ClientReqUrl'),
    ...defined<KmsResponse>({
      kmsId: textOf(root, 'KmsId'),
      message: message === undefined ? undefined : readMessage(message),
      error:
        error === undefined
          ? undefined
          : { code: Number(requiredText(error, 'ErrorCode')), message: requiredText(error, 'ErrorMsg') },
    }),
  };
}

function readMessage(from: XmlElement): KmsMessage {
  switch (from.name) {
    case 'KmsInit':
      return { type: 'init', certificate: readKmsCertificate(requiredChild(from, 'KmsCertificate')) };
    case 'KmsKeyProv':
      return {
        type: 'key-prov',
        keySets: childrenOf(from, 'KmsKeySet').map(readKmsKeySet),
        ceks: childrenOf(from, 'Cek', CEK_NAMESPACE).map(readCek),
      };
    case 'KmsCertCache':
      return {
        type: 'cert-cache',
        cacheNum: Number(from.attributes.CacheNum),
        certificates: childrenOf(from, 'KmsCertificate').map(readKmsCertificate),
      };
    case 'CekAck':
      return { type: 'cek-ack', keyIds: readCekAck(from) };
    default:
      throw unexpected(`<${from.name}> where a KmsMessage belongs`);
  }
}

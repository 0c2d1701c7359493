/** KmsRequest (TS 33.180 clause D.2.2), with this project's elements at its extension point. */
import { childrenOf, type XmlElement, xmlElement } from '../xml.ts';
import { type CekEnd, type CekRequest, cekEndElement, cekRequestElement, readCekEnd, readCekRequest } from './cek.ts';
import { REQUEST_BOUNDS } from './guard.ts';
import { CEK_NAMESPACE, KMS_NAMESPACE } from './namespaces.ts';
import { readKmsDocument, writeKmsDocument } from './schema.ts';
import { dateTime, defined, requiredText, textOf, timeOf, unexpected } from './values.ts';

export interface KmsRequest {
  readonly userUri: string;
  readonly kmsUri: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** The MCPTT client id, `urn:uuid:…`. */
  readonly clientId?: string;
  readonly deviceId?: string;
  /** The URL that the request is posted to. */
  readonly clientReqUrl: string;
  readonly cekRequests: readonly CekRequest[];
  readonly cekEnds: readonly CekEnd[];
}

export function buildKmsRequest(request: KmsRequest): Uint8Array {
  const element = (name: string, text: string): XmlElement => xmlElement(KMS_NAMESPACE, name, text);
  return writeKmsDocument(
    xmlElement(
      KMS_NAMESPACE,
      'KmsRequest',
      [
        element('UserUri', request.userUri),
        element('KmsUri', request.kmsUri),
        element('Time', dateTime(request.time)),
        ...(request.clientId === undefined ? [] : [element('ClientId', request.clientId)]),
        ...(request.deviceId === undefined ? [] : [element('DeviceId', request.deviceId)]),
        element('ClientReqUrl', request.clientReqUrl),
        ...request.cekRequests.map(cekRequestElement),
        ...request.cekEnds.map(cekEndElement),
      ],
      { Version: '1.1.0' },
    ),
  );
}

/** @throws KmsMessageError; a SignedKmsRequest is refused like any other root: this KMS gives out no InK or TrK */
export function parseKmsRequest(octets: Uint8Array): KmsRequest {
  const root = readKmsDocument(octets, REQUEST_BOUNDS);
  if (root.name !== 'KmsRequest') throw unexpected(`<${root.name}> where <KmsRequest> belongs`);
  return {
    userUri: requiredText(root, 'UserUri'),
    kmsUri: requiredText(root, 'KmsUri'),
    time: timeOf(requiredText(root, 'Time')),
    clientReqUrl: requiredText(root, 'ClientReqUrl'),
    cekRequests: childrenOf(root, 'CekRequest', CEK_NAMESPACE).map(readCekRequest),
    cekEnds: childrenOf(root, 'CekEnd', CEK_NAMESPACE).map(readCekEnd),
    ...defined<KmsRequest>({ clientId: textOf(root, 'ClientId'), deviceId: textOf(root, 'DeviceId') }),
  };
}

/**
 * A SIP message's body as a MIME entity and back. SIP carries an entity's MIME header fields among its own (RFC 3261
 * 7.4.1), and both SIP stacks used here carry bodies as UTF-8 text: what is not text travels as base64.
 */
import { decodeContent, encodeContent, type MimeEntity, type MimeHeader, mimeHeader } from './mime.ts';

const MIME_FIELDS = ['Content-Type', 'Content-Transfer-Encoding', 'Content-Disposition'] as const;

/** What of a SIP message makes its body: the values of the MIME header fields and the text after the empty line. */
export interface SipBody {
  readonly contentType: string;
  readonly headers: readonly MimeHeader[];
  readonly body: string;
}

/**
 * Reads the entity out of a SIP message; undefined when the message has no Content-Type or no body.
 * @param header gives a header field's value by name
 * @throws MimeError `MIME_ENCODING`
 */
export function entityFromSip(
  header: (name: string) => string | undefined,
  body: string | undefined,
): MimeEntity | undefined {
  if (body === undefined || body === '' || header('Content-Type') === undefined) return undefined;
  const headers = MIME_FIELDS.flatMap((name): MimeHeader[] => {
    const value = header(name);
    return value === undefined ? [] : [[name, value]];
  });
  return { headers, content: decodeContent(headers, Buffer.from(body, 'utf8')) };
}

/** Text and header fields under which an entity travels in a SIP message. @throws MimeError `MIME_ENCODING` */
export function entityToSip(entity: MimeEntity): SipBody {
  return {
    contentType: mimeHeader(entity, 'Content-Type') ?? 'text/plain',
    headers: entity.headers.filter(([name]) => name.toLowerCase() !== 'content-type'),
    body: Buffer.from(encodeContent(entity)).toString('utf8'),
  };
}

/**
 * MIME entities (RFC 2045) on octets: what stands inside a protected body and what a SIP message carries.
 * `content` is always decoded; the transfer encoding is applied and removed here and nowhere else.
 */

export type MimeErrorCode =
  | 'MIME_MALFORMED'
  | 'MIME_TOO_LARGE'
  | 'MIME_TOO_DEEP'
  | 'MIME_TOO_MANY_PARTS'
  | 'MIME_ENCODING'
  | 'MIME_BOUNDARY';

/** A MIME entity that cannot be read or written. The message never quotes content. */
export class MimeError extends Error {
  readonly code: MimeErrorCode;

  constructor(code: MimeErrorCode, message: string) {
    super(message);
    this.name = 'MimeError';
    this.code = code;
  }
}

export type MimeHeader = readonly [name: string, value: string];

export interface MimeEntity {
  /** Header fields in order, unfolded. `Content-Length` is never among them: the octets say it. */
  readonly headers: readonly MimeHeader[];
  /** The content after the transfer encoding has been removed. */
  readonly content: Uint8Array;
}

export interface MediaType {
  /** `type/subtype`, lower case. */
  readonly type: string;
  /** Parameter names lower case, values as written, quotes and escapes removed. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** Bounds on what is read from a peer. */
export interface MimeLimits {
  readonly octets: number;
  readonly headers: number;
  readonly headerLine: number;
}

export const MIME_LIMITS: MimeLimits = { octets: 1 << 20, headers: 64, headerLine: 4096 };

const TRANSFER_ENCODINGS = ['7bit', '8bit', 'binary', 'base64'] as const;
type TransferEncoding = (typeof TRANSFER_ENCODINGS)[number];

const TOKEN = /^[!#$%&'*+\-.^_`{|}~0-9A-Za-z]+$/;
const BASE64_LINE = 76;

/** First value of the header field `name` (case does not matter), or undefined. */
export function mimeHeader(entity: { headers: readonly MimeHeader[] }, name: string): string | undefined {
  const wanted = name.toLowerCase();
  return entity.headers.find(([n]) => n.toLowerCase() === wanted)?.[1];
}

/** Media type of an entity; RFC 2045 5.2 makes it text/plain when the header field is missing. */
export function mediaTypeOf(entity: { headers: readonly MimeHeader[] }): MediaType {
  return parseMediaType(mimeHeader(entity, 'Content-Type') ?? 'text/plain; charset=us-ascii');
}

/**
 * Reads a Content-Type value (RFC 2045 5.1, quoted strings of RFC 822 3.3).
 * @throws MimeError `MIME_MALFORMED`
 */
export function parseMediaType(value: string): MediaType {
  const match = /^\s*([^\s/;]+)\s*\/\s*([^\s/;]+)\s*/.exec(value);
  if (!match || !TOKEN.test(match[1]!) || !TOKEN.test(match[2]!)) {
    throw new MimeError('MIME_MALFORMED', 'Content-Type is not "type/subtype"; check the header field');
  }
  const parameters: Record<string, string> = {};
  const parameter = /\s*;\s*(?:([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))\s*)?/gy;
  parameter.lastIndex = match[0].length;
  while (parameter.lastIndex < value.length) {
    const at = parameter.exec(value);
    if (!at) throw new MimeError('MIME_MALFORMED', 'Content-Type has a parameter that is not "name=value"');
    const [, name, quoted, plain] = at;
    if (name === undefined) continue; // RFC 3261 7.3.1 tolerates nothing here, but an empty parameter harms nobody.
    const key = name.toLowerCase();
    if (Object.hasOwn(parameters, key))
      throw new MimeError('MIME_MALFORMED', `Content-Type repeats the parameter ${key}`);
    parameters[key] = quoted === undefined ? plain! : quoted.replace(/\\(.)/g, '$1');
  }
  return { type: `${match[1]}/${match[2]}`.toLowerCase(), parameters };
}

/** Writes a Content-Type value; a parameter value that is no token is quoted. */
export function formatMediaType(type: string, parameters: Readonly<Record<string, string>> = {}): string {
  const tail = Object.entries(parameters).map(([name, value]) =>
    TOKEN.test(value) ? `; ${name}=${value}` : `; ${name}="${value.replace(/[\\"]/g, '\\$&')}"`,
  );
  return type + tail.join('');
}

/** An entity of one media type; `headers` come after Content-Type. Text is written as UTF-8. */
export function mimeEntity(
  contentType: string,
  content: Uint8Array | string,
  headers: readonly MimeHeader[] = [],
): MimeEntity {
  return {
    headers: [['Content-Type', contentType], ...headers],
    content: typeof content === 'string' ? Buffer.from(content, 'utf8') : content,
  };
}

/**
 * Octets of an entity: header lines, an empty line, the content in its transfer encoding.
 * @throws MimeError `MIME_MALFORMED` (a header that would break the framing), `MIME_ENCODING`
 */
export function serialiseMime(entity: MimeEntity): Uint8Array {
  const head = entity.headers.map(([name, value]) => {
    if (!TOKEN.test(name) || /[\r\n\0]/.test(value)) {
      throw new MimeError(
        'MIME_MALFORMED',
        'a header field name or value holds a character that would break the framing',
      );
    }
    return `${name}: ${value}\r\n`;
  });
  return Buffer.concat([Buffer.from(`${head.join('')}\r\n`, 'utf8'), encodeContent(entity)]);
}

/**
 * Reads an entity from its octets.
 * @throws MimeError `MIME_MALFORMED`, `MIME_TOO_LARGE`, `MIME_ENCODING`
 */
export function parseMime(octets: Uint8Array, limits: MimeLimits = MIME_LIMITS): MimeEntity {
  if (octets.length > limits.octets) {
    throw new MimeError(
      'MIME_TOO_LARGE',
      `an entity of ${octets.length} octets is above the bound of ${limits.octets}`,
    );
  }
  const bytes = Buffer.from(octets.buffer, octets.byteOffset, octets.length);
  // An entity may have no header fields at all, and then starts with its empty line.
  const bodyAt = bytes[0] === 13 && bytes[1] === 10 ? 2 : bytes.indexOf('\r\n\r\n') + 4;
  if (bodyAt === 3) throw new MimeError('MIME_MALFORMED', 'no empty line ends the header of the entity');
  const headers = parseHeaders(bytes.subarray(0, bodyAt - 2).toString('utf8'), limits);
  return { headers, content: decodeContent(headers, bytes.subarray(bodyAt)) };
}

function parseHeaders(text: string, limits: MimeLimits): MimeHeader[] {
  // RFC 822 3.1.1: a line that starts with white space continues the one before.
  const lines = text
    .replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n')
    .slice(0, -1)
    .filter((line) => line !== '');
  if (lines.length > limits.headers) throw new MimeError('MIME_TOO_LARGE', `more than ${limits.headers} header fields`);
  return lines.map((line): MimeHeader => {
    if (line.length > limits.headerLine) {
      throw new MimeError('MIME_TOO_LARGE', `a header field longer than ${limits.headerLine} characters`);
    }
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon)).trimEnd();
    if (!TOKEN.test(name) || /[\r\n\0]/.test(line)) {
      throw new MimeError('MIME_MALFORMED', 'a header line is not "name: value"');
    }
    return [name, line.slice(colon + 1).trim()];
  });
}

/** Transfer encoding named by the headers; RFC 2045 6.1 makes it 7bit when missing. */
export function transferEncodingOf(headers: readonly MimeHeader[]): TransferEncoding {
  const named = (mimeHeader({ headers }, 'Content-Transfer-Encoding') ?? '7bit').trim().toLowerCase();
  const known = TRANSFER_ENCODINGS.find((encoding) => encoding === named);
  if (known === undefined) {
    throw new MimeError('MIME_ENCODING', 'unknown Content-Transfer-Encoding; use 7bit, 8bit, binary or base64');
  }
  return known;
}

/** Removes the transfer encoding that `headers` name. @throws MimeError `MIME_ENCODING` */
export function decodeContent(headers: readonly MimeHeader[], encoded: Uint8Array): Uint8Array {
  if (transferEncodingOf(headers) !== 'base64') return encoded;
  const text = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.length)
    .toString('latin1')
    .replace(/[\r\n \t]/g, '');
  // Buffer.from is lenient; RFC 2045 6.8 would let a reader ignore foreign characters, a security gateway must not.
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
    throw new MimeError('MIME_ENCODING', 'the content is not base64');
  }
  return Buffer.from(text, 'base64');
}

/** Applies the transfer encoding that the entity's headers name. @throws MimeError `MIME_ENCODING` */
export function encodeContent(entity: MimeEntity): Uint8Array {
  const encoding = transferEncodingOf(entity.headers);
  if (encoding === 'base64') {
    const text = Buffer.from(entity.content).toString('base64');
    return Buffer.from(text.replace(new RegExp(`.{${BASE64_LINE}}(?=.)`, 'g'), '$&\r\n'), 'latin1');
  }
  // RFC 2045 2.7: 7bit has no octet above 127 and no NUL. Kept strict when the header says so in words.
  if (mimeHeader(entity, 'Content-Transfer-Encoding') !== undefined && encoding === '7bit') {
    if (entity.content.some((octet) => octet > 127 || octet === 0)) {
      throw new MimeError('MIME_ENCODING', 'the content has octets that 7bit cannot carry; use base64 or binary');
    }
  }
  return entity.content;
}

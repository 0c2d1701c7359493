/**
 * multipart/* (RFC 2046 5.1) on octets. The delimiter is `CRLF "--" boundary`: the CRLF belongs to it and not to the
 * part before, so a part's last octets come back exactly as they went in.
 */
import { randomBytes } from 'node:crypto';
import {
  formatMediaType,
  MIME_LIMITS,
  type MimeEntity,
  MimeError,
  type MimeLimits,
  mediaTypeOf,
  mimeEntity,
  parseMime,
  serialiseMime,
} from './mime.ts';

export interface MultipartLimits extends MimeLimits {
  readonly parts: number;
  readonly depth: number;
}

export const MULTIPART_LIMITS: MultipartLimits = { ...MIME_LIMITS, parts: 32, depth: 4 };

/** RFC 2046 5.1.1: 1 to 70 characters of bchars, the last no space. */
const BOUNDARY = /^[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]$/;

export function isMultipart(entity: MimeEntity): boolean {
  return mediaTypeOf(entity).type.startsWith('multipart/');
}

/**
 * Puts parts together into one entity. The boundary is 16 random octets in hex, drawn again should a part hold it.
 * @param boundary only for tests and vectors; refused when a part holds it
 * @throws MimeError `MIME_BOUNDARY`, `MIME_MALFORMED` (no parts)
 */
export function buildMultipart(parts: readonly MimeEntity[], subtype = 'mixed', boundary?: string): MimeEntity {
  if (parts.length === 0) throw new MimeError('MIME_MALFORMED', 'a multipart needs at least one part');
  const serialised = parts.map((part) => Buffer.from(serialiseMime(part)));
  const occurs = (candidate: string): boolean => serialised.some((octets) => octets.includes(`--${candidate}`));
  let chosen = boundary ?? randomBytes(16).toString('hex');
  if (boundary === undefined) {
    while (occurs(chosen)) chosen = randomBytes(16).toString('hex');
  } else if (!BOUNDARY.test(boundary) || occurs(boundary)) {
    throw new MimeError(
      'MIME_BOUNDARY',
      'the boundary is malformed or occurs in a part; leave it out to have one drawn',
    );
  }
  const pieces = serialised.flatMap((octets, i) => [
    Buffer.from(`${i === 0 ? '' : '\r\n'}--${chosen}\r\n`, 'latin1'),
    octets,
  ]);
  pieces.push(Buffer.from(`\r\n--${chosen}--\r\n`, 'latin1'));
  return mimeEntity(formatMediaType(`multipart/${subtype}`, { boundary: chosen }), Buffer.concat(pieces));
}

/**
 * Takes a multipart entity apart, one level. Preamble and epilogue are dropped (RFC 2046 5.1.1).
 * @throws MimeError `MIME_MALFORMED` (no boundary, no closing delimiter), `MIME_TOO_MANY_PARTS`, `MIME_BOUNDARY`
 */
export function parseMultipart(entity: MimeEntity, limits: MultipartLimits = MULTIPART_LIMITS): MimeEntity[] {
  const { type, parameters } = mediaTypeOf(entity);
  if (!type.startsWith('multipart/')) throw new MimeError('MIME_MALFORMED', 'the entity is no multipart');
  const boundary = parameters.boundary;
  if (boundary === undefined || !BOUNDARY.test(boundary)) {
    throw new MimeError('MIME_BOUNDARY', 'the multipart names no boundary of 1 to 70 allowed characters');
  }
  const bytes = Buffer.from(entity.content.buffer, entity.content.byteOffset, entity.content.length);
  const parts: MimeEntity[] = [];
  let partAt: number | undefined;
  for (const delimiter of delimiters(bytes, boundary)) {
    if (partAt !== undefined) {
      if (parts.length >= limits.parts) throw new MimeError('MIME_TOO_MANY_PARTS', `more than ${limits.parts} parts`);
      parts.push(parseMime(partOf(bytes, partAt, delimiter.start), limits));
    }
    if (delimiter.closes) {
      if (partAt === undefined) throw new MimeError('MIME_MALFORMED', 'the multipart closes before its first part');
      return parts;
    }
    partAt = delimiter.end;
  }
  throw new MimeError('MIME_MALFORMED', 'the multipart has no closing delimiter: it was cut');
}

/**
 * All entities that are no multipart, in order, out of any nesting up to `limits.depth` levels.
 * @throws MimeError as {@link parseMultipart}, and `MIME_TOO_DEEP`
 */
export function leavesOf(entity: MimeEntity, limits: MultipartLimits = MULTIPART_LIMITS): MimeEntity[] {
  const leaves: MimeEntity[] = [];
  const walk = (at: MimeEntity, depth: number): void => {
    if (!isMultipart(at)) {
      if (leaves.length >= limits.parts) throw new MimeError('MIME_TOO_MANY_PARTS', `more than ${limits.parts} parts`);
      leaves.push(at);
      return;
    }
    if (depth >= limits.depth) throw new MimeError('MIME_TOO_DEEP', `multiparts nested more than ${limits.depth} deep`);
    for (const part of parseMultipart(at, limits)) walk(part, depth + 1);
  };
  walk(entity, 0);
  return leaves;
}

/**
 * The octets of a part. One that ends with its header has no empty line of its own (body-part := MIME-part-headers [CRLF
 * *OCTET]): the line end of the delimiter is that.
 */
function partOf(bytes: Buffer, start: number, end: number): Buffer {
  const part = bytes.subarray(start, Math.max(start, end));
  const noHeader = part[0] === 13 && part[1] === 10;
  return noHeader || part.includes('\r\n\r\n') ? part : bytes.subarray(start, end + 2);
}

interface Delimiter {
  /** Offset of the CRLF before the delimiter line, where the part before ends. */
  readonly start: number;
  /** Offset of the octet after the delimiter line. */
  readonly end: number;
  readonly closes: boolean;
}

/** Delimiter lines in order: at the start of a line, followed by nothing but white space. */
function* delimiters(bytes: Buffer, boundary: string): Generator<Delimiter> {
  const dash = `--${boundary}`;
  for (let at = bytes.indexOf(dash, 0, 'latin1'); at !== -1; at = bytes.indexOf(dash, at + 1, 'latin1')) {
    const startsLine = at === 0 || (bytes[at - 2] === 13 && bytes[at - 1] === 10);
    if (!startsLine) continue;
    let end = at + dash.length;
    const closes = bytes[end] === 45 && bytes[end + 1] === 45;
    if (closes) end += 2;
    while (bytes[end] === 32 || bytes[end] === 9) end++;
    const endsLine = bytes[end] === 13 && bytes[end + 1] === 10;
    if (!endsLine && !(closes && end === bytes.length)) continue;
    yield { start: at === 0 ? 0 : at - 2, end: Math.min(bytes.length, end + 2), closes };
  }
}

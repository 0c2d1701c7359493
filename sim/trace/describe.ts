/** One line that says what a message is, and the headers that tell messages apart. Knows SIP, HTTP and NAS framing, no MCPTT. */
import { STATUS_CODES } from 'node:http';
import { canonicalName } from '../engine/message/names.ts';
import type { ReportedMessage } from './record.ts';

/** EPS mobility management message types, TS 24.301 table 9.8.1. */
const EMM_NAMES: Readonly<Record<number, string>> = {
  65: 'Attach request',
  66: 'Attach accept',
  67: 'Attach complete',
  68: 'Attach reject',
  69: 'Detach request',
  70: 'Detach accept',
  82: 'Authentication request',
  83: 'Authentication response',
  84: 'Authentication reject',
  92: 'Authentication failure',
  93: 'Security mode command',
  94: 'Security mode complete',
  95: 'Security mode reject',
};

/** TS 24.301 9.9.3.9, the two causes of an Authentication failure. */
const EMM_CAUSES: Readonly<Record<number, string>> = { 20: 'MAC failure', 21: 'synch failure' };

export interface SipHead {
  readonly startLine: string;
  readonly method?: string;
  readonly status?: number;
  readonly callId: string;
  readonly cseq: string;
  readonly cseqMethod: string;
}

/** Header section of a SIP or HTTP message as text. */
export function headText(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = buffer.indexOf('\r\n\r\n');
  return buffer.toString('utf8', 0, end < 0 ? buffer.length : end);
}

/** Value of the first header of that name, or of its compact form, unfolded; undefined when absent. */
export const headerOf = (bytes: Uint8Array, name: string): string | undefined => headersOf(bytes, name)[0];

/** Every value of that header, or of its compact form, one entry per header line, unfolded. */
export function headersOf(bytes: Uint8Array, name: string): string[] {
  const wanted = canonicalName(name);
  return headText(bytes)
    .replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n')
    .flatMap((line) => {
      const colon = line.indexOf(':');
      return colon > 0 && canonicalName(line.slice(0, colon).trimEnd()) === wanted
        ? [line.slice(colon + 1).trim()]
        : [];
    });
}

/** What follows the blank line. */
export function bodyOf(bytes: Uint8Array): Uint8Array {
  const end = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf('\r\n\r\n');
  return end < 0 ? new Uint8Array() : bytes.subarray(end + 4);
}

export function sipHead(bytes: Uint8Array): SipHead {
  const startLine = headText(bytes).split('\r\n', 1)[0] ?? '';
  const status = startLine.match(/^SIP\/2\.0 (\d{3})/)?.[1];
  const cseq = headerOf(bytes, 'CSeq') ?? '';
  return {
    startLine,
    ...(status === undefined ? { method: startLine.split(' ', 1)[0] ?? '' } : { status: Number(status) }),
    callId: headerOf(bytes, 'Call-ID') ?? '',
    cseq,
    cseqMethod: cseq.split(/\s+/)[1] ?? '',
  };
}

function nasSummary(pdu: Uint8Array): string {
  // TS 24.301 9.3.1: a non-zero security header type in the top half means MAC (4) and sequence number (1) come first.
  const secured = (pdu[0] ?? 0) >> 4 !== 0;
  const plain = secured ? pdu.subarray(6) : pdu;
  const type = plain[1] ?? 0;
  const name = EMM_NAMES[type] ?? `NAS message ${type}`;
  const cause = type === 92 ? ` (${EMM_CAUSES[plain[2] ?? 0] ?? `cause ${plain[2]}`})` : '';
  return `${name}${cause}${secured ? ', integrity protected' : ''}`;
}

function sipSummary(bytes: Uint8Array): string {
  const head = sipHead(bytes);
  if (head.status !== undefined) return `${head.startLine.slice('SIP/2.0 '.length)} (${head.cseqMethod})`;
  const event = headerOf(bytes, 'Event');
  const type = headerOf(bytes, 'Content-Type')?.split(';', 1)[0];
  const details = [event === undefined ? '' : `Event: ${event}`, type ?? ''].filter((d) => d !== '');
  return `${head.startLine.replace(/ SIP\/2\.0$/, '')}${details.length > 0 ? ` [${details.join(', ')}]` : ''}`;
}

/** Method of an HTTP request; undefined for what is none. */
export const httpMethod = (bytes: Uint8Array): string | undefined => /^(\S+) \S+ HTTP\//.exec(headText(bytes))?.[1];

/**
 * One line for ladders and failures, such as `PUBLISH sip:… [Event: poc-settings]` or `401 Unauthorized (REGISTER)`.
 *
 * @param answers method of the request that an HTTP response answers, where it is known: the response does not say it itself
 */
export function summary(message: Pick<ReportedMessage, 'protocol' | 'bytes'>, answers?: string): string {
  if (message.protocol === 'nas') return nasSummary(message.bytes);
  if (message.protocol === 'sip') return sipSummary(message.bytes);
  const text = headText(message.bytes);
  const event = /^event: *(\S+)/m.exec(text)?.[1];
  const startLine = text.split(/\r?\n/, 1)[0] ?? '';
  const status = /^HTTP\/\S+ (\d{3}) ?(.*)$/.exec(startLine);
  if (status !== null) {
    const reason = status[2] || (STATUS_CODES[status[1]!] ?? '');
    return `${status[1]} ${reason}`.trim() + (answers === undefined ? '' : ` (${answers})`);
  }
  if (event !== undefined && !/ HTTP\//.test(startLine)) return `event: ${event}`;
  return startLine.replace(/ HTTP\/\S+$/, '').replace(/\?.*/, '?…');
}

/**
 * HTTP messages as records: a `fetch` that reports what it sends and receives, and a middleware that does the same on
 * the server's side. Both ends of one exchange are tied together by the `traceparent` header (W3C Trace Context), which
 * a system under test may ignore without harm: its half of the arrow is then simply not seen.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { InterfaceName, Report } from './record.ts';

/** Bodies above this many octets are recorded up to here and marked as cut. */
const LONGEST_RECORDED_BODY = 1 << 20;

type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

const head = (startLine: string, headers: Iterable<[string, string]>): string =>
  `${startLine}\r\n${[...headers].map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;

const whole = (headText: string, body: Uint8Array): Uint8Array => Buffer.concat([Buffer.from(headText, 'utf8'), body]);

const newTraceparent = (): string => `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;

/** The span id of a `traceparent` value, which names one exchange; undefined when there is none. */
export function spanOf(traceparent: string | undefined | null): string | undefined {
  return traceparent?.match(/^[0-9a-f]{2}-[0-9a-f]{32}-([0-9a-f]{16})-[0-9a-f]{2}$/)?.[1];
}

async function bodyOctets(body: unknown): Promise<Uint8Array> {
  if (body === undefined || body === null) return new Uint8Array();
  return new Uint8Array(await new Response(body as NonNullable<RequestInit['body']>).arrayBuffer());
}

/**
 * Wraps `fetch` so that each exchange is reported as one sent and one received message.
 * A `text/event-stream` response is reported by its head only; its events are the caller's to report.
 *
 * @param fetch the function that really sends (undici's with the test CA, for instance)
 */
export function recordingFetch(fetch: Fetch, report: Report, at: { interface: InterfaceName; peer: string }): Fetch {
  return async (url, init = {}) => {
    const target = new URL(url);
    const headers = new Headers(init.headers);
    const traceparent = headers.get('traceparent') ?? newTraceparent();
    headers.set('traceparent', traceparent);
    const span = spanOf(traceparent);
    const body = await bodyOctets(init.body);
    const startLine = `${init.method ?? 'GET'} ${target.pathname}${target.search} HTTP/1.1`;
    report({
      ...at,
      direction: 'sent',
      protocol: 'http',
      bytes: whole(head(startLine, [['host', target.host], ...headers]), body),
      ...(span === undefined ? {} : { correlation: `${span}/request` }),
    });
    const response = await fetch(url, {
      ...init,
      headers: Object.fromEntries(headers),
      ...(body.length > 0 ? { body: body as NonNullable<RequestInit['body']> } : {}),
    });
    const streams = response.headers.get('content-type')?.startsWith('text/event-stream') ?? false;
    const answer = streams ? new Uint8Array() : new Uint8Array(await response.clone().arrayBuffer());
    report({
      ...at,
      direction: 'received',
      protocol: 'http',
      bytes: whole(head(`HTTP/1.1 ${response.status} ${response.statusText}`, response.headers), answer),
      ...(span === undefined ? {} : { correlation: `${span}/response` }),
    });
    return response;
  };
}

/**
 * Middleware for express (or any `(req, res, next)` server) that reports each request once its body has come in and
 * each response once it has been sent. Put it before every body parser.
 *
 * @param at.peer the actor that sends requests here, or a function that tells it from the request
 */
export function recordHttp(
  report: Report,
  at: { interface: InterfaceName; peer: string | ((req: IncomingMessage) => string) },
): (req: IncomingMessage, res: ServerResponse, next: () => void) => void {
  return (req, res, next) => {
    const peer = typeof at.peer === 'string' ? at.peer : at.peer(req);
    const span = spanOf(req.headers.traceparent as string | undefined);
    const correlation = (half: string): { correlation?: string } =>
      span === undefined ? {} : { correlation: `${span}/${half}` };
    const shared = { interface: at.interface, peer, protocol: 'http' as const };

    const received = new Capture();
    const emit = req.emit.bind(req);
    let requestReported = false;
    const reportRequest = (): void => {
      if (requestReported) return;
      requestReported = true;
      const lines = pairs(req.rawHeaders);
      const startLine = `${req.method} ${req.url} HTTP/${req.httpVersion}`;
      report({
        ...shared,
        direction: 'received',
        bytes: whole(head(startLine, lines), received.octets()),
        ...correlation('request'),
      });
    };
    // The request's body is seen as it passes by, so that whichever parser comes next still reads it itself.
    req.emit = (event: string, ...args: unknown[]): boolean => {
      if (event === 'data') received.add(args[0]);
      if (event === 'end') reportRequest();
      return emit(event, ...args);
    };

    const sent = new Capture();
    const write = res.write.bind(res);
    const end = res.end.bind(res);
    res.write = ((chunk: unknown, ...rest: unknown[]) => {
      sent.add(chunk);
      return Reflect.apply(write, undefined, [chunk, ...rest]) as boolean;
    }) as typeof res.write;
    res.end = ((...args: unknown[]) => {
      if (typeof args[0] !== 'function') sent.add(args[0]);
      reportRequest();
      const lines = Object.entries(res.getHeaders()).map(([name, value]): [string, string] => [name, String(value)]);
      const bytes = whole(head(`HTTP/1.1 ${res.statusCode} ${res.statusMessage ?? ''}`, lines), sent.octets());
      report({ ...shared, direction: 'sent', bytes, ...correlation('response') });
      return Reflect.apply(end, undefined, args) as ServerResponse;
    }) as typeof res.end;
    next();
  };
}

/** Collects body octets as they pass, up to a bound. */
class Capture {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  add(chunk: unknown): void {
    if (chunk === undefined || chunk === null || this.#length >= LONGEST_RECORDED_BODY) return;
    const octets = typeof chunk === 'string' ? Buffer.from(chunk, 'utf8') : (chunk as Uint8Array);
    if (!(octets instanceof Uint8Array)) return;
    this.#parts.push(octets);
    this.#length += octets.length;
  }

  octets(): Uint8Array {
    return Buffer.concat(this.#parts).subarray(0, LONGEST_RECORDED_BODY);
  }
}

function pairs(rawHeaders: readonly string[]): [string, string][] {
  const lines: [string, string][] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) lines.push([rawHeaders[i]!, rawHeaders[i + 1]!]);
  return lines;
}

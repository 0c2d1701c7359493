/** The URL that a request was posted to, for the check of `<ClientReqUrl>` (TS 33.180 clause D.2.2) and to stand in an answer. */
import type { IncomingMessage } from 'node:http';

/**
 * @param target request target as it came in: in origin form, or absolute as proxies send it (RFC 9112 section 3.2)
 * @param otherwise the host to name where the request names none that could be one
 * @returns a URI, whatever came in: what may not stand in one is percent-encoded
 */
export function postedUrl(request: IncomingMessage, target: string, otherwise: string): string {
  const origin = `https://${request.headers.host ?? otherwise}`;
  const whole = /^https:\/\//i.test(target)
    ? target
    : `${URL.canParse(origin) ? origin : `https://${otherwise}`}${target.startsWith('/') ? '' : '/'}${target}`;
  return whole.replace(/%(?![0-9a-f]{2})|[^!-~]|["<>\\^`{|}]/gi, encodeURIComponent);
}

/**
 * Whether both are the same URL. Clients write the identity in the path with and without percent-encoding, and their HTTP
 * stacks change that behind their back: segments count by what they stand for (RFC 3986 section 6.2.2).
 */
export function sameUrl(one: string, other: string): boolean {
  try {
    const [a, b] = [normal(one), normal(other)];
    return a.length === b.length && a.every((part, index) => part === b[index]);
  } catch {
    return false;
  }
}

/** @throws for what is no URL, or holds octets that are not UTF-8 */
function normal(url: string): string[] {
  const { protocol, username, password, host, pathname, search, hash } = new URL(url);
  return [protocol, username, password, host, search, hash, ...pathname.split('/').map(decodeURIComponent)];
}

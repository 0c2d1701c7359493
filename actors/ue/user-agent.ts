/**
 * The UE's user agent for the login page: as much of a browser as the authorization endpoint of CSC-1 needs. It follows
 * redirects, keeps cookies (RFC 6265) for one login, and fills in the form. The password goes to the IdM's own origin
 * and nowhere else.
 */
import { IdmClientError } from './idm-client-error.ts';

export type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

export interface UserAgentOptions {
  readonly fetch: Fetch;
  /** What the IdM sends the agent back to; compared without the query. */
  readonly redirectUri: string;
  readonly userName: string;
  readonly password: string;
  /** For each request, milliseconds. */
  readonly timeout: number;
}

const MOST_REDIRECTS = 10;
const LARGEST_PAGE = 65_536;

/**
 * Opens the authorization request, logs in, and ends at the redirect URI.
 * @returns the redirect URI with the parameters of the IdM's reply
 * @throws IdmClientError
 */
export async function logInByForm(authorizationUrl: URL, options: UserAgentOptions): Promise<URL> {
  const { redirectUri, userName, password } = options;
  const jar = new CookieJar();
  let url = authorizationUrl;
  let form: URLSearchParams | undefined;
  let submitted = false;
  for (let step = 0; step < MOST_REDIRECTS; step++) {
    const response = await request(url, form, jar, options);
    const location = response.headers.get('location');
    if (response.status >= 300 && response.status < 400 && location !== null) {
      const next = new URL(location, url);
      if (isReply(next, redirectUri)) return next;
      sameOrigin(authorizationUrl, next);
      url = next;
      form = undefined;
      continue;
    }
    const page = (await response.text()).slice(0, LARGEST_PAGE);
    const action = formAction(page);
    if (action === undefined) {
      throw new IdmClientError('IDM_CLIENT_REFUSED', 'the IdM answered with a page that is no login form', {
        httpStatus: response.status,
      });
    }
    if (submitted) {
      throw new IdmClientError('IDM_CLIENT_WRONG_CREDENTIALS', 'the IdM does not take this user name and password', {
        httpStatus: response.status,
      });
    }
    url = new URL(action, url);
    sameOrigin(authorizationUrl, url);
    form = new URLSearchParams({ username: userName, password });
    submitted = true;
  }
  throw new IdmClientError('IDM_CLIENT_REFUSED', `the IdM redirected more than ${MOST_REDIRECTS} times`);
}

async function request(url: URL, form: URLSearchParams | undefined, jar: CookieJar, options: UserAgentOptions) {
  const cookie = jar.headerFor(url);
  const response = await options.fetch(url.href, {
    method: form === undefined ? 'GET' : 'POST',
    headers: {
      accept: 'text/html',
      ...(cookie === '' ? {} : { cookie }),
      ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
    },
    redirect: 'manual',
    signal: AbortSignal.timeout(options.timeout),
    ...(form === undefined ? {} : { body: form.toString() }),
  });
  jar.take(url, response.headers.getSetCookie());
  return response;
}

/** Whether the IdM has sent the agent back to the client: scheme, authority and path as registered. */
const isReply = (url: URL, redirectUri: string): boolean => url.href.split('?')[0] === redirectUri;

function sameOrigin(first: URL, next: URL): void {
  if (next.protocol !== 'https:' || next.host !== first.host) {
    throw new IdmClientError('IDM_CLIENT_REFUSED', 'the IdM leads to another origin: no password is given there');
  }
}

/** Target of the first form that asks for a password by POST. */
function formAction(page: string): string | undefined {
  for (const [, attributes, fields] of page.matchAll(/<form\b([^>]*)>(.*?)<\/form>/gis)) {
    if (!/\bmethod\s*=\s*"?post\b/i.test(attributes!) || !/\bname\s*=\s*"?password\b/i.test(fields!)) continue;
    return /\baction\s*=\s*"([^"]*)"/i.exec(attributes!)?.[1]?.replaceAll('&amp;', '&');
  }
  return undefined;
}

interface Cookie {
  readonly name: string;
  readonly value: string;
  readonly path: string;
}

/** Cookies of one host over https, for one login. */
class CookieJar {
  readonly #cookies = new Map<string, Cookie>();

  /** Takes Set-Cookie lines (RFC 6265 clause 5.2); a cookie that has expired is one that is deleted. */
  take(from: URL, lines: readonly string[]): void {
    for (const line of lines) {
      const [pair, ...attributes] = line.split(';').map((part) => part.trim());
      const equals = pair!.indexOf('=');
      if (equals < 1) continue;
      const attribute = (name: string): string | undefined =>
        attributes.find((one) => one.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1);
      const path = attribute('path');
      const cookie = {
        name: pair!.slice(0, equals),
        value: pair!.slice(equals + 1),
        path: path?.startsWith('/') ? path : defaultPath(from),
      };
      const maxAge = attribute('max-age');
      const expires = attribute('expires');
      const gone =
        maxAge === undefined ? expires !== undefined && Date.parse(expires) <= Date.now() : Number(maxAge) <= 0;
      const key = `${cookie.path} ${cookie.name}`;
      if (gone) this.#cookies.delete(key);
      else this.#cookies.set(key, cookie);
    }
  }

  /** Value of the Cookie header for a request, empty when there is none. */
  headerFor({ pathname }: URL): string {
    return [...this.#cookies.values()]
      .filter(({ path }) => pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`))
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ');
  }
}

/** RFC 6265 clause 5.1.4. */
const defaultPath = ({ pathname }: URL): string => pathname.slice(0, Math.max(1, pathname.lastIndexOf('/')));

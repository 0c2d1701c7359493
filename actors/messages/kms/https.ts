/** `fetch` over TLS under the test CA and no other, with the caller's own certificate where it has to show one. */
import { Agent, fetch as undiciFetch } from 'undici';

export type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

export interface HttpsClient {
  readonly fetch: Fetch;
  /** Ends every connection, answers under way included. */
  close(): Promise<void>;
}

export interface HttpsTrust {
  /** PEM: the only CA that is trusted. */
  readonly ca: string;
  /** PEM: shown to servers that ask for it. */
  readonly certificate?: string;
  readonly privateKey?: string;
}

/** How long a connection lies idle before it is closed, milliseconds, or less where the server says so. */
export const IDLE_TIMEOUT = 10_000;

/** Refuses anything but `https:` before a connection is made (HTTP1-1). */
export function httpsClient(trust: HttpsTrust): HttpsClient {
  const agent = new Agent({
    connect: {
      ca: trust.ca,
      ...(trust.certificate === undefined ? {} : { cert: trust.certificate }),
      ...(trust.privateKey === undefined ? {} : { key: trust.privateKey }),
      timeout: 5_000,
    },
    keepAliveMaxTimeout: IDLE_TIMEOUT,
    // A server-sent-event stream is silent for as long as nothing happens.
    bodyTimeout: 0,
  });
  return {
    fetch: async (url, init) => {
      if (new URL(url).protocol !== 'https:')
        throw new TypeError('HTTP-1 runs over TLS only: the address must be https');
      const options = { ...init, dispatcher: agent, redirect: 'error' } as Parameters<typeof undiciFetch>[1];
      return (await undiciFetch(url, options)) as unknown as Response;
    },
    close: () => agent.destroy(),
  };
}

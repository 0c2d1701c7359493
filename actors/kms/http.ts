/** HTTP-1 at the KMS: from a TLS connection to a resource, and every refusal back as a KmsError. */
import type { TLSSocket } from 'node:tls';
import express, { type ErrorRequestHandler, type Express, type Request, type Response } from 'express';
import type { Log } from '../../sim/control/actor.ts';
import type { Clock } from '../../sim/engine/clock.ts';
import { recordHttp } from '../../sim/trace/http.ts';
import type { Report } from '../../sim/trace/record.ts';
import { KmsMessageError } from '../messages/kms/errors.ts';
import { REQUEST_BOUNDS } from '../messages/kms/guard.ts';
import { KMS_MEDIA_TYPE, KMS_PATHS } from '../messages/kms/namespaces.ts';
import { type KmsRequest, parseKmsRequest } from '../messages/kms/request.ts';
import { buildKmsResponse, type KmsMessage } from '../messages/kms/response.ts';
import type { Audit } from './audit.ts';
import { authorize, type Principal } from './authorize.ts';
import type { EventStreams } from './event-streams.ts';
import { postedUrl, sameUrl } from './posted-url.ts';
import type { RateLimit } from './rate-limit.ts';
import { KmsRefusal } from './refusal.ts';
import type { Resources } from './resources.ts';
import type { CheckToken } from './token-check.ts';
import { bareRefusal, NOBODY } from './unreadable.ts';

export interface HttpParts {
  readonly kmsUri: string;
  readonly scope: string;
  /** Identities of MCPTT servers. */
  readonly servers: readonly string[];
  readonly checkToken: CheckToken;
  readonly resources: Resources;
  readonly events: EventStreams;
  readonly rateLimit: RateLimit;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly log: Log;
  readonly report: Report;
  readonly counted: (resource: string, status: number) => void;
}

/** How far a request's Time may lie from the KMS's clock, milliseconds. */
const TIME_WINDOW = 5 * 60_000;

/** RFC 6750 section 3.1. */
const BEARER_ERRORS: Record<number, string> = { 400: 'invalid_request', 401: 'invalid_token' };

interface Exchange {
  principal?: Principal;
  request?: KmsRequest;
}

export function createHttpApp(parts: HttpParts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.enable('case sensitive routing');
  const exchanges = new WeakMap<Request, Exchange>();

  const record = recordHttp(parts.report, {
    interface: 'HTTP-1',
    peer: ({ socket }) => ((socket as TLSSocket).authorized ? 'mcptt-as' : 'ue'),
  });
  // An event stream reports itself, head and events one by one: it ends only when the connection does.
  app.use((req, res, next) =>
    req.method === 'GET' && req.path === KMS_PATHS.cekEvents ? next() : record(req, res, next),
  );
  app.use((req, res, next) => {
    res.set('Cache-Control', 'no-store');
    res.once('finish', () => parts.counted(resourceName(req.path), res.statusCode));
    next();
  });

  app.use((req, _res, next) => {
    // RFC 9112 section 3.2
    if (req.headers.host === undefined && req.httpVersion !== '1.0') {
      throw new KmsRefusal('KMS_BAD_HTTP', 'there is no Host header');
    }
    // RFC 9112 section 6.1: what is left after `chunked` would be read as it stands.
    if (!/^chunked$/i.test(req.headers['transfer-encoding'] ?? 'chunked')) {
      throw new KmsRefusal('KMS_BAD_HTTP', 'the body has a transfer coding other than chunked');
    }
    if ((req.headersDistinct.host?.length ?? 0) > 1) {
      throw new KmsRefusal('KMS_BAD_HTTP', 'there is more than one Host header');
    }
    next();
  });

  /** Authorizes first, so that nobody else's body is ever parsed. */
  app.use(async (req, _res, next) => {
    const principal = await authorize(req, parts.checkToken, parts.servers, parts.kmsUri);
    exchanges.set(req, { principal });
    const wait = parts.rateLimit.take(principal.uri);
    if (wait > 0) throw new KmsRefusal('KMS_TOO_MANY_REQUESTS', `too many requests: come again in ${wait} s`, wait);
    next();
  });

  const body = express.raw({ type: () => true, limit: REQUEST_BOUNDS.octets });
  const post = (
    path: string,
    answer: (principal: Principal, request: KmsRequest, req: Request) => Promise<KmsMessage>,
  ) => {
    app.post(path, body, async (req, res) => {
      const principal = principalOf(req);
      const request = readRequest(req, principal);
      exchanges.set(req, { principal, request });
      respond(req, res, 200, { message: await answer(principal, request, req) });
    });
    only('POST', path);
  };
  const only = (method: 'GET' | 'POST', path: string) => {
    app.all(path, (req, res) => {
      res.set('Allow', method);
      throw new KmsRefusal('KMS_WRONG_METHOD', `${req.method} is not for this resource: it takes ${method}`);
    });
  };

  const { resources } = parts;
  post(KMS_PATHS.init, async () => resources.init());
  post(`${KMS_PATHS.certCache}{/:held}`, async (_principal, _request, req) =>
    resources.certCache(parameter(req, 'held')),
  );
  post(`${KMS_PATHS.keyProv}{/:userUri{/:time}}`, async (principal, request, req) => {
    const named = parameter(req, 'userUri');
    if (named !== undefined && named !== principal.uri) {
      throw new KmsRefusal(
        'KMS_OTHER_IDENTITY',
        'key material is for the identity of your authorization and for no other',
      );
    }
    return resources.keyProv(principal, request, parameter(req, 'time'));
  });
  post(KMS_PATHS.cekUpdate, (principal, request) => resources.update(principal, request));
  post(KMS_PATHS.cekEnd, (principal, request) => resources.end(principal, request));
  post(KMS_PATHS.cekSessions, (principal, request) => resources.sessions(principal, request));

  app.get(KMS_PATHS.cekEvents, async (req, res, next) => {
    // Express gives HEAD to whoever takes GET: there would be no end to it.
    if (req.method !== 'GET') {
      next();
      return;
    }
    const principal = principalOf(req);
    if (principal.kind !== 'user') {
      throw new KmsRefusal(
        'KMS_NOT_FOR_THIS_PARTY',
        'the event stream is for MCPTT clients; the MCPTT server is pushed to',
      );
    }
    const last = req.get('last-event-id') ?? '0';
    if (!/^\d{1,15}$/.test(last))
      throw new KmsRefusal('KMS_BAD_REQUEST', 'Last-Event-ID is not one that this KMS gave');
    const { client } = req.query;
    const whose = {
      userUri: principal.uri,
      mayHaveKeys: () => resources.deniedByPolicy(principal) === undefined,
      ...(typeof client === 'string' ? { clientId: client } : {}),
    };
    await parts.events.serve(req, res, whose, Number(last), principal.until);
  });
  only('GET', KMS_PATHS.cekEvents);

  app.use(() => {
    throw new KmsRefusal('KMS_UNKNOWN_RESOURCE', 'there is no such resource here');
  });

  const refuse: ErrorRequestHandler = (error: unknown, req, res, next) => {
    if (res.headersSent) {
      next(error);
      return;
    }
    const refusal = refusalOf(error, parts.log);
    const exchange = exchanges.get(req);
    parts.audit.write('refused', {
      code: refusal.code,
      status: refusal.status,
      resource: resourceName(req.path),
      userUri: exchange?.principal?.uri ?? null,
      reason: refusal.message,
    });
    const challenged = refusal.status === 401 || refusal.status === 403 || refusal.code === 'KMS_BAD_AUTHORIZATION';
    if (challenged) res.set('WWW-Authenticate', challenge(refusal));
    if (refusal.retryAfter !== undefined) res.set('Retry-After', String(refusal.retryAfter));
    respond(req, res, refusal.status, { error: { code: refusal.errorCode, message: refusal.message } });
  };
  app.use(refuse);
  // What goes wrong while refusing must not reach express's own page: that one shows stacks.
  const giveUp: ErrorRequestHandler = (error: unknown, _req, res, next) => {
    if (res.headersSent) {
      next(error);
      return;
    }
    parts.log.error({ error }, 'the KMS could not refuse as it should');
    const sorry = new KmsRefusal('KMS_UNAVAILABLE', 'the KMS cannot answer just now');
    res.status(503).type(KMS_MEDIA_TYPE).send(bareRefusal(parts, sorry));
  };
  app.use(giveUp);
  return app;

  function principalOf(req: Request): Principal {
    const principal = exchanges.get(req)?.principal;
    if (principal === undefined) throw new KmsRefusal('KMS_NO_TOKEN', 'not authorized');
    return principal;
  }

  /** The checks of TS 33.180 clause D.2.2 on what has come in. */
  function readRequest(req: Request, principal: Principal): KmsRequest {
    const type = req.get('content-type') ?? '';
    if (!/^(?:application|text)\/(?:[\w.-]+\+)?xml\s*(?:;|$)/i.test(type)) {
      throw new KmsRefusal('KMS_MEDIA_TYPE', `the body must be ${KMS_MEDIA_TYPE}`);
    }
    // RFC 7303 section 3: the charset parameter counts for more than what the document says of itself.
    const charset = /;\s*charset\s*=\s*"?([^\s;"]*)/i.exec(type)?.[1];
    if (charset !== undefined && !/^(?:utf-8|us-ascii)$/i.test(charset)) {
      throw new KmsRefusal('KMS_MEDIA_TYPE', 'the body must be in UTF-8');
    }
    const request = parseKmsRequest(req.body instanceof Uint8Array ? req.body : new Uint8Array());
    if (request.kmsUri !== parts.kmsUri) throw new KmsRefusal('KMS_WRONG_KMS', '<KmsUri> is not that of this KMS');
    if (!sameUrl(request.clientReqUrl, postedUrl(req, req.originalUrl, parts.kmsUri))) {
      throw new KmsRefusal('KMS_WRONG_URL', '<ClientReqUrl> is not the URL that this request was posted to');
    }
    if (Math.abs(request.time - parts.clock.now()) > TIME_WINDOW) {
      throw new KmsRefusal(
        'KMS_STALE_TIME',
        '<Time> is not recent: set the clock, or send the request when it is made',
      );
    }
    if (request.userUri !== principal.uri) {
      throw new KmsRefusal('KMS_OTHER_IDENTITY', '<UserUri> is not the identity of your authorization');
    }
    return request;
  }

  function respond(
    req: Request,
    res: Response,
    status: number,
    content: { message: KmsMessage } | { error: { code: number; message: string } },
  ): void {
    const { principal, request } = exchanges.get(req) ?? {};
    const octets = buildKmsResponse({
      userUri: principal?.uri ?? NOBODY,
      kmsUri: parts.kmsUri,
      time: parts.clock.now(),
      clientReqUrl: request?.clientReqUrl ?? postedUrl(req, req.originalUrl, parts.kmsUri),
      ...content,
    });
    res.status(status).type(KMS_MEDIA_TYPE).send(Buffer.from(octets));
  }

  /** RFC 6750 section 3: without a token no error code, and for the rest the codes of section 3.1. */
  function challenge(refusal: KmsRefusal): string {
    const realm = `Bearer realm="${parts.kmsUri}"`;
    if (refusal.code === 'KMS_NO_TOKEN') return `${realm}, scope="${parts.scope}"`;
    const error = BEARER_ERRORS[refusal.status] ?? 'insufficient_scope';
    const description = refusal.message.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, "'");
    return `${realm}, error="${error}", error_description="${description}", scope="${parts.scope}"`;
  }
}

function parameter(req: Request, name: string): string | undefined {
  const value = req.params[name];
  return typeof value === 'string' ? value : undefined;
}

/** The resource without the identity that may stand in its path: for counters and the audit log. */
function resourceName(path: string): string {
  const known = Object.values(KMS_PATHS).find((resource) => path === resource || path.startsWith(`${resource}/`));
  return known ?? 'unknown';
}

function refusalOf(error: unknown, log: Log): KmsRefusal {
  if (error instanceof KmsRefusal) return error;
  if (error instanceof KmsMessageError) {
    return new KmsRefusal(error.code === 'KMS_XML_TOO_LARGE' ? 'KMS_TOO_LARGE' : 'KMS_BAD_XML', error.message);
  }
  const status = (error as { status?: unknown }).status;
  if (status === 413) return new KmsRefusal('KMS_TOO_LARGE', `the body has more than ${REQUEST_BOUNDS.octets} octets`);
  if (status === 415) return new KmsRefusal('KMS_MEDIA_TYPE', 'the content encoding of the body is not known here');
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new KmsRefusal('KMS_BAD_REQUEST', 'the request cannot be read');
  }
  log.error({ error }, 'the KMS could not answer');
  return new KmsRefusal('KMS_UNAVAILABLE', 'the KMS cannot answer just now', 5);
}

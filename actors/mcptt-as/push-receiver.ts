/**
 * Where the KMS pushes CEKs to (docs/interfaces.md, HTTP-1): `POST /cek/v1/push`, from the KMS's TLS client certificate and
 * from nobody else. Each CEK is opened and handed to the key store; what is acknowledged is held, or has ended here already.
 */
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import express, { type ErrorRequestHandler, type Request, type Response, type Router } from 'express';
import type { Log } from '../../sim/control/actor.ts';
import { recordHttp } from '../../sim/trace/http.ts';
import type { Report } from '../../sim/trace/record.ts';
import { buildCekAck, type CekNews, parseCekPush } from '../messages/kms/cek.ts';
import { KmsMessageError } from '../messages/kms/errors.ts';
import { RESPONSE_BOUNDS } from '../messages/kms/guard.ts';
import { KMS_MEDIA_TYPE, KMS_PATHS } from '../messages/kms/namespaces.ts';
import type { CekKeyStore } from '../security/cek/key-store.ts';
import type { IdentityMaterial } from '../security/kms-client/material.ts';

export interface PushReceiverOptions {
  /** The KMS's certificate names it: `DNS:<KmsUri>` is among its subject alternative names. */
  readonly kmsUri: string;
  /** The server's key material; until it is there, pushes are refused with 503 and come again. */
  readonly material: () => Promise<IdentityMaterial>;
  readonly ceks: () => CekKeyStore;
  /** Asked once for each push: where a scenario has its connection break. */
  readonly breaks?: () => PushBreak | undefined;
  readonly report: Report;
  readonly log: Log;
}

/** A push's connection breaks before the push was read, as when the server is down, or before its acknowledgement. */
export const PUSH_BREAKS = ['before-push', 'before-acknowledgement'] as const;
export type PushBreak = (typeof PUSH_BREAKS)[number];

/** To be mounted in an https server that asks for client certificates (`requestCert`) under the test CA. */
export function createPushReceiver(options: PushReceiverOptions): Router {
  const { kmsUri, material, ceks, log } = options;
  const router = express.Router();
  const breaking = new WeakMap<Request, PushBreak>();
  router.use(KMS_PATHS.cekPush, (req, _res, next) => {
    const at = options.breaks?.();
    if (at === 'before-push') {
      req.socket.destroy();
      return;
    }
    if (at !== undefined) breaking.set(req, at);
    next();
  });
  const peer = (req: IncomingMessage): string => (isFromKms(req, kmsUri) ? 'kms' : 'stranger');
  router.use(KMS_PATHS.cekPush, recordHttp(options.report, { interface: 'HTTP-1', peer }));
  router.use(KMS_PATHS.cekPush, (req, res, next) => {
    if (isFromKms(req, kmsUri)) return next();
    log.warn({ peer: req.socket.remoteAddress }, 'a push that did not come from the KMS was refused');
    refuse(res, 403, 'only the KMS may push here, with its TLS client certificate');
  });
  router.post(KMS_PATHS.cekPush, express.raw({ type: () => true, limit: RESPONSE_BOUNDS.octets }), async (req, res) => {
    const octets = req.body instanceof Uint8Array ? req.body : new Uint8Array();
    let news: CekNews[];
    try {
      news = parseCekPush(octets);
    } catch (error) {
      if (!(error instanceof KmsMessageError)) throw error;
      refuse(res, 400, error.message);
      return;
    }
    const taken = await take(news, await material(), ceks(), log);
    if (breaking.has(req)) {
      req.socket.destroy();
      return;
    }
    res
      .status(200)
      .type(KMS_MEDIA_TYPE)
      .send(Buffer.from(buildCekAck(taken)));
  });
  router.all(KMS_PATHS.cekPush, (_req, res) => {
    res.set('Allow', 'POST');
    refuse(res, 405, 'a push is a POST');
  });
  const failed: ErrorRequestHandler = (error: unknown, _req, res, next) => {
    if (res.headersSent) return next(error);
    const { status, message } = error as { status?: unknown; message: string };
    if (status === 413) return refuse(res, 413, 'the push is too large');
    log.warn({ error: message }, 'a push cannot be taken just now');
    refuse(res, 503, 'the MCPTT server cannot take the push just now');
  };
  router.use(KMS_PATHS.cekPush, failed);
  return router;
}

/** In the order of the push. @returns the Key IDs to acknowledge; one that cannot be opened is left out and comes again */
async function take(
  news: readonly CekNews[],
  material: IdentityMaterial,
  ceks: CekKeyStore,
  log: Log,
): Promise<string[]> {
  const taken: string[] = [];
  for (const item of news) {
    if ('end' in item) {
      const { reason, ...which } = item.end;
      const ended = ceks.end(which, reason);
      taken.push(...(which.keyId === undefined ? ended : [which.keyId]));
      continue;
    }
    try {
      const arrived = await material.open(item.cek);
      try {
        ceks.take(arrived);
        taken.push(arrived.keyId);
      } finally {
        arrived.key.fill(0);
      }
    } catch (error) {
      const { code, message } = error as { code?: unknown; message: string };
      log.error({ keyId: item.cek.keyId, code: String(code), error: message }, 'a pushed CEK was not taken');
    }
  }
  return taken;
}

function isFromKms(req: IncomingMessage, kmsUri: string): boolean {
  const socket = req.socket as TLSSocket;
  if (socket.authorized !== true) return false;
  const names = socket.getPeerCertificate().subjectaltname?.split(', ') ?? [];
  return names.includes(`DNS:${kmsUri}`);
}

const refuse = (res: Response, status: number, why: string): void => {
  res.status(status).type('text/plain').send(`${why}\n`);
};

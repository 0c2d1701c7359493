/** The login form (acr 3gpp:acr:password): shown by GET, checked on POST, shown again with 401 while it does not fit. */
import express, { type NextFunction, type Request, type Response, Router } from 'express';
import type { Provider } from 'oidc-provider';
import type { Log } from '../../sim/control/actor.ts';
import { ACR_PASSWORD } from './config.ts';
import { errorPage, loginPage } from './pages.ts';
import { loginPath } from './provider.ts';
import type { UserDirectory } from './users.ts';

export interface LoginOptions {
  /** The provider of the moment: a rotation of keys replaces it. */
  readonly provider: () => Provider;
  readonly users: UserDirectory;
  readonly log: Log;
}

const LARGEST_FORM = '4kb';

export function loginRouter({ provider, users, log }: LoginOptions): Router {
  const router = Router();
  router.use('/login', (_req, res, next) => {
    res.set('Cache-Control', 'no-store');
    res.set('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'");
    next();
  });

  router.get('/login/:uid', async (req, res) => {
    const { uid } = await provider().interactionDetails(req, res);
    res.type('html').send(loginPage(loginPath(uid)));
  });

  router.post('/login/:uid', express.urlencoded({ extended: false, limit: LARGEST_FORM }), async (req, res) => {
    const { uid, params } = await provider().interactionDetails(req, res);
    const { username, password } = fieldsOf(req.body);
    const user = users.authenticate(username, password);
    if (user === undefined) {
      log.info({}, 'login refused: wrong user name or password');
      res
        .status(401)
        .type('html')
        .send(loginPage(loginPath(uid), 'User name or password is wrong.'));
      return;
    }
    const clientId = String(params.client_id);
    const result =
      user.clientIds?.includes(clientId) === false
        ? { error: 'access_denied', error_description: 'this user may not use this client' }
        : { login: { accountId: user.userName, acr: ACR_PASSWORD, amr: ['pwd'] } };
    await provider().interactionFinished(req, res, result, { mergeWithLastSubmission: false });
  });

  // A login that has run out or belongs to another browser ends here: oidc-provider's SessionNotFound is a 400.
  router.use('/login', (error: unknown, _req: Request, res: Response, next: NextFunction) => {
    if (res.headersSent) return next(error);
    const status = (error as { status?: unknown }).status;
    res
      .status(typeof status === 'number' ? status : 400)
      .type('html')
      .send(errorPage('invalid_request', 'this login has ended: start again'));
  });
  return router;
}

function fieldsOf(body: unknown): { username: string; password: string } {
  const field = (name: string): string => {
    const value: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined;
    return typeof value === 'string' ? value : '';
  };
  return { username: field('username'), password: field('password') };
}

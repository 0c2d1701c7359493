/** The IdM (identity management server) of step 3a. See README.md. */
import type { Actor, ActorContext } from '../../sim/control/actor.ts';
import type { IdmConfig } from './config.ts';
import { Idm } from './idm.ts';

export { type IdmConfig, IdmError, type IdmErrorCode, type IdmUser } from './config.ts';

/** Makes the IdM. Endpoint: `https`, which is also the issuer. Needs nothing of its peers. */
export const createIdm = (config: IdmConfig, context: ActorContext): Actor => new Idm(config, context);

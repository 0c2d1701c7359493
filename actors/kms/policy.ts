/**
 * What the service provider has decided about key management (pCR 7.x, 7.x.3). One KMS serves one service, MCPTT; times are
 * milliseconds.
 *
 * The rule by which the KMS answers a request for an update (pCR 7.x.3, LIFE-3 and LIFE-4):
 * 1. a change is already under way: that new CEK, so that updates which overlap end in one key;
 * 2. the asker holds an older CEK than the current one: the current one again;
 * 3. the current CEK has served for `renewAfter`, or has protected `renewAfterMessages` messages as the ends have counted
 *    them: a new CEK;
 * 4. otherwise the same CEK again.
 * Either way both ends are told the same.
 */
export interface KmsPolicy {
  /** POL-1. False: requests are answered with key sets and without a CEK, and none is made or pushed; those from before end as they would have. */
  readonly protectionRequired: boolean;
  /** MCPTT IDs that may have key material; undefined = everybody who is authorized by a token. */
  readonly allowedMcpttIds?: readonly string[];
  readonly deniedMcpttIds: readonly string[];
  /** OAuth client ids that may ask. */
  readonly allowedClientIds: readonly string[];
  readonly cek: {
    /** A CEK ends by itself after this long. */
    readonly lifetime: number;
    /** The KMS makes a new CEK of its own accord after this long, or after so many messages. */
    readonly rotateAfter: number;
    readonly rotateAfterMessages: number;
    /** A request for an update gets a new CEK from this age, or from so many messages on. */
    readonly renewAfter: number;
    readonly renewAfterMessages: number;
    /** After a change the old CEK opens for this long and seals no more. */
    readonly overlap: number;
    /** True: a CEK ends when the access token expires by which it was asked for (LIFE-1). */
    readonly endsWithToken: boolean;
  };
  /** How long an answer waits for the MCPTT server's acknowledgement before it says `pending-ack`. */
  readonly pushWait: number;
  /** Requests of one user or server: so many at once, and so many a minute after that. */
  readonly requests: { readonly burst: number; readonly perMinute: number };
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

export const DEFAULT_POLICY: KmsPolicy = {
  protectionRequired: true,
  deniedMcpttIds: [],
  allowedClientIds: ['mcptt-client'],
  cek: {
    lifetime: 24 * HOUR,
    rotateAfter: 8 * HOUR,
    rotateAfterMessages: 100_000,
    renewAfter: MINUTE,
    renewAfterMessages: 10_000,
    overlap: 30_000,
    endsWithToken: false,
  },
  pushWait: 2_000,
  requests: { burst: 60, perMinute: 600 },
};

/** What a change of policy may name; the rest stays. */
export type PolicyChange = Partial<Omit<KmsPolicy, 'cek' | 'requests'>> & {
  readonly cek?: Partial<KmsPolicy['cek']>;
  readonly requests?: Partial<KmsPolicy['requests']>;
};

export class PolicyError extends Error {
  readonly code = 'KMS_BAD_POLICY';
  constructor(message: string) {
    super(message);
    this.name = 'PolicyError';
  }
}

/** @throws PolicyError for a name that policy does not have, or a value of another kind */
export function changePolicy(policy: KmsPolicy, change: PolicyChange): KmsPolicy {
  check(policy, change, '');
  const next = {
    ...policy,
    ...change,
    cek: { ...policy.cek, ...change.cek },
    requests: { ...policy.requests, ...change.requests },
  };
  const { lifetime, overlap } = next.cek;
  if (overlap >= lifetime) throw new PolicyError('cek.overlap must be shorter than cek.lifetime');
  return next;
}

const LISTS = new Set(['allowedMcpttIds', 'deniedMcpttIds', 'allowedClientIds']);

function check(policy: object, change: object, path: string): void {
  for (const [name, value] of Object.entries(change) as [string, unknown][]) {
    const where = `${path}${name}`;
    const now = (policy as Record<string, unknown>)[name];
    if (path === '' && LISTS.has(name)) {
      const strings = Array.isArray(value) && value.every((item) => typeof item === 'string');
      if (!strings) throw new PolicyError(`${where} must be a list of texts`);
    } else if (now === undefined) throw new PolicyError(`policy has no ${where}`);
    else if (typeof value !== typeof now) throw new PolicyError(`${where} must be a ${typeof now}`);
    else if (typeof value === 'number' && !(value >= 0)) throw new PolicyError(`${where} must not be negative`);
    else if (typeof value === 'object' && value !== null) check(now as object, value, `${where}.`);
  }
}

/** Why this user, with this client, may not have key material; undefined when it may. */
export function refusalByPolicy(policy: KmsPolicy, who: { mcpttId: string; clientId: string }): string | undefined {
  if (policy.deniedMcpttIds.includes(who.mcpttId)) return 'this MCPTT ID is denied key material';
  if (policy.allowedMcpttIds !== undefined && !policy.allowedMcpttIds.includes(who.mcpttId)) {
    return 'this MCPTT ID is not allowed key material';
  }
  if (!policy.allowedClientIds.includes(who.clientId)) return 'this OAuth client is not allowed key material';
  return undefined;
}

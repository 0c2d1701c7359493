/** Access tokens made wrong on purpose: another token, a flipped bit, a changed claim under the old signature, an HMAC for a signature. */
import { createHmac } from 'node:crypto';
import { type Deviation, deviateJwt, deviateOctets, deviationValue } from '../messages/deviation.ts';

/** Tokens that a deviation may put in another one's place. */
export interface OtherTokens {
  /** The user's own token for the other service: the KMS's in a PUBLISH, the MCPTT server's in a KmsRequest. */
  readonly kms: string | undefined;
  /** The token for the MCPTT service of another user of this UE. */
  readonly ofUser: (user: string) => string | undefined;
}

/**
 * The token with the deviations at `token` and `jwt` applied.
 *
 * - `token`, `replace`: value `other` (the token for the other service), `user:<name>`, or the text itself; `flip`: bit 0 of the octet `path`.
 * - `jwt`, `set` and `remove`: `header.<name>` or a claim; `remove` `signature` leaves it empty; `set` `signature` makes an HMAC-SHA-256
 *   under `value` (base64), for receivers that take a public key for a secret (RFC 8725 2.1). Else the old signature stays.
 */
export function deviateToken(deviations: readonly Deviation[], token: string, others: OtherTokens): string {
  const replaced = deviationValue(
    deviations.filter(({ op }) => op === 'replace'),
    'token',
    '',
  );
  const other =
    replaced === undefined
      ? token
      : replaced === 'other'
        ? others.kms
        : replaced.startsWith('user:')
          ? others.ofUser(replaced.slice(5))
          : replaced;
  const changed = forged(deviations, other ?? '');
  const onOctets = deviations.filter(({ at, op }) => at === 'token' && op !== 'replace');
  return Buffer.from(deviateOctets(onOctets, 'token', Buffer.from(changed, 'latin1'))).toString('latin1');
}

function forged(deviations: readonly Deviation[], token: string): string {
  const [header, payload, signature] = token.split('.');
  if (!deviations.some(({ at }) => at === 'jwt') || header === undefined || payload === undefined) return token;
  const changed = deviateJwt(deviations, { header: decode(header), claims: decode(payload) });
  const secret = deviationValue(deviations, 'jwt', 'signature');
  const signed = `${encode(changed.header)}.${encode(changed.claims)}`;
  if (secret === undefined) return `${signed}.${signature ?? ''}`;
  if (secret === '') return `${signed}.`;
  const hmac = createHmac('sha256', Buffer.from(secret, 'base64')).update(signed).digest('base64url');
  return `${signed}.${hmac}`;
}

const decode = (part: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as Record<string, unknown>;

const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');

/**
 * Deviations from default messages: a scenario names only what is wrong in the message that it has an actor send.
 * They are applied where the default message is built, so any message can be sent wrong on purpose, and no actor needs
 * a switch for a defect.
 */
import type { MimeHeader } from './mime.ts';

export const DEVIATION_PLACES = [
  'sip',
  'mcptt-info',
  'poc-settings',
  'inner',
  'cms',
  'token',
  'kms-request',
  'kms-response',
  'jwt',
  'autn',
  'res',
  'nas',
] as const;
export type DeviationPlace = (typeof DEVIATION_PLACES)[number];

export const DEVIATION_OPS = ['set', 'remove', 'flip', 'replace'] as const;
export type DeviationOp = (typeof DEVIATION_OPS)[number];

/**
 * One deviation.
 *
 * | what is built | ops and paths |
 * |---|---|
 * | fields (`mcptt-info`, `poc-settings`, `kms-request`, `jwt` claims) | `set` and `remove` the field `path` |
 * | header fields (`sip`) | `set` and `remove` the header field `path`; `request-uri`, `body` are paths too |
 * | octets (`inner`, `cms`, `kms-response`: an I_MESSAGE, `autn` of a network's challenge, `res` of the UE's answer at step 0, `nas` of the Security mode command and of its answer as sent) | `flip` bit 0 of the octet `path` (negative counts from the end), `set` that octet (`value` decimal), `remove` from it on, `replace` all (`value` base64) |
 */
export interface Deviation {
  readonly at: DeviationPlace;
  readonly op: DeviationOp;
  readonly path: string;
  readonly value?: string;
}

/** A list of deviations that names nothing that exists. */
export class DeviationError extends Error {
  readonly code = 'DEVIATION_INVALID';

  constructor(message: string) {
    super(message);
    this.name = 'DeviationError';
  }
}

/** Checks the JSON that a scenario hands over; undefined is the empty list. @throws DeviationError */
export function parseDeviations(json: unknown): readonly Deviation[] {
  if (json === undefined || json === null) return [];
  if (!Array.isArray(json)) throw new DeviationError('deviate is a list of {at, op, path, value}');
  return json.map((entry: unknown, i): Deviation => {
    const { at, op, path, value } = (entry ?? {}) as Record<string, unknown>;
    const place = DEVIATION_PLACES.find((known) => known === at);
    const operation = DEVIATION_OPS.find((known) => known === op);
    const valueFits =
      value === undefined || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
    if (
      place === undefined ||
      operation === undefined ||
      !valueFits ||
      (typeof path !== 'string' && typeof path !== 'number')
    ) {
      throw new DeviationError(
        `deviate[${i}]: at is one of ${DEVIATION_PLACES.join(', ')}; op one of ${DEVIATION_OPS.join(', ')}; path and value are text`,
      );
    }
    return { at: place, op: operation, path: String(path), ...(value === undefined ? {} : { value: String(value) }) };
  });
}

const at = (deviations: readonly Deviation[], place: DeviationPlace): Deviation[] =>
  deviations.filter((deviation) => deviation.at === place);

/** Fields with the deviations at `place` applied. @throws DeviationError for an op that fields do not know */
export function deviateFields<T extends object>(deviations: readonly Deviation[], place: DeviationPlace, fields: T): T {
  const changed: Record<string, unknown> = Object.fromEntries(Object.entries(fields));
  for (const { op, path, value } of at(deviations, place)) {
    if (op === 'set') changed[path] = value ?? '';
    else if (op === 'remove') delete changed[path];
    else throw new DeviationError(`${place} has fields: use set or remove, not ${op}`);
  }
  return changed as T;
}

/** Header and claims of a JWT (RFC 7519), whoever signs them. */
export interface JwtParts {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
}

const HEADER = 'header.';

/** A JWT's parts with the deviations at `jwt` applied: `header.<name>` or a claim; `signature` is left to who signs. */
export function deviateJwt(deviations: readonly Deviation[], { header, claims }: JwtParts): JwtParts {
  const onJwt = at(deviations, 'jwt').filter(({ path }) => path !== 'signature');
  const inHeader = onJwt.filter(({ path }) => path.startsWith(HEADER));
  const inClaims = onJwt.filter((deviation) => !inHeader.includes(deviation));
  const named = inHeader.map((deviation) => ({ ...deviation, path: deviation.path.slice(HEADER.length) }));
  return {
    header: deviateFields(named, 'jwt', header),
    claims: numericDates(deviateFields(inClaims, 'jwt', claims)),
  };
}

/** Times of RFC 7519 are numbers; a deviation's values are text. */
function numericDates(claims: JwtParts['claims']): JwtParts['claims'] {
  const times = ['exp', 'iat', 'nbf'].filter((name) => typeof claims[name] === 'string');
  return { ...claims, ...Object.fromEntries(times.map((name) => [name, Number(claims[name])])) };
}

/** Header fields with the deviations at `sip` applied, `request-uri` and `body` left to the caller. */
export function deviateHeaders(deviations: readonly Deviation[], headers: readonly MimeHeader[]): MimeHeader[] {
  let changed = [...headers];
  for (const { op, path, value } of at(deviations, 'sip')) {
    if (path === 'request-uri' || path === 'body') continue;
    const others = changed.filter(([name]) => name.toLowerCase() !== path.toLowerCase());
    if (op === 'set') changed = [...others, [path, value ?? '']];
    else if (op === 'remove') changed = others;
    else throw new DeviationError(`sip header fields: use set or remove, not ${op}`);
  }
  return changed;
}

/** Value that a `set` or `replace` at `place` and `path` gives; `remove` gives the empty text; undefined when none does. */
export function deviationValue(
  deviations: readonly Deviation[],
  place: DeviationPlace,
  path: string,
): string | undefined {
  const found = at(deviations, place).findLast((deviation) => deviation.path === path);
  return found === undefined ? undefined : found.op === 'remove' ? '' : (found.value ?? '');
}

/** Octets with the deviations at `place` whose path is an offset (or empty, for `replace`) applied. */
export function deviateOctets(deviations: readonly Deviation[], place: DeviationPlace, octets: Uint8Array): Uint8Array {
  let changed: Uint8Array = Uint8Array.from(octets);
  for (const { op, path, value } of at(deviations, place)) {
    if (op === 'replace' && path === '') {
      changed = Buffer.from(value ?? '', 'base64');
      continue;
    }
    if (!/^-?\d+$/.test(path)) continue; // names a part, which is the caller's to change
    const offset = Number(path) < 0 ? changed.length + Number(path) : Number(path);
    const octet = changed[offset];
    if (octet === undefined)
      throw new DeviationError(`${place} has ${changed.length} octets, there is none at ${path}`);
    if (op === 'flip') changed[offset] = octet ^ 1;
    else if (op === 'set') changed[offset] = Number(value) & 0xff;
    else if (op === 'remove') changed = changed.slice(0, offset);
    else throw new DeviationError(`${place} at an offset: use flip, set or remove, not ${op}`);
  }
  return changed;
}

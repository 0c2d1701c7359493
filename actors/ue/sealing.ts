/** The UE's end of protected bodies: seals with a user's CEK and opens with whichever key a body names. */
import {
  bodyChanges,
  isProtected,
  isUnsigned,
  kekProtection,
  type OpeningKey,
  unsignedBody,
} from '../messages/body-protection.ts';
import { type Deviation, DeviationError, deviateOctets, deviationValue } from '../messages/deviation.ts';
import { type MimeEntity, parseMime, serialiseMime } from '../messages/mime.ts';
import type { Service } from '../messages/service-protection.ts';
import { retiredKeyId } from '../messages/sip-headers.ts';
import { CekError } from '../security/cek/errors.ts';
import type { CekKeyStore, UsableCek } from '../security/cek/key-store.ts';
import { SmimeError } from '../security/smime/errors.ts';
import { UeError } from './errors.ts';
import type { McpttClient } from './mcptt-client.ts';
import type { KmsPort } from './ports.ts';

/** During a change of keys the server may use the new one a moment before its event reaches the UE. */
const NEW_KEY_BOUND_MS = 2_000;

export interface SealingContext {
  readonly ceks: CekKeyStore;
  readonly sipSession: string;
  /** Another client of this UE, for deviations that use a foreign key. */
  readonly clientOf: (user: string) => McpttClient;
}

/**
 * An inner entity as it goes out for a user, with the deviations at `inner` and `cms`:
 *
 * - `inner`: octets of the entity before it is protected (see deviation.ts).
 * - `cms` `set` `protection` `none`: sent in clear; `set` `key-id`: another Key ID in the KEKIdentifier; `set` `key`
 *   `user:<name>`: another user's CEK, `<Key ID>`: one held here that may only open; `set` `signer` `user:<name>`: signed
 *   by another identity; `remove` `signature`: not signed; `flip` `signature`: one bit of it wrong; any other path: octets
 *   of the CMS message.
 *
 * @throws UeError `UE_NO_KEY`
 */
export function sealFor(
  client: McpttClient,
  entity: MimeEntity,
  service: Service,
  deviations: readonly Deviation[],
  context: SealingContext,
): Promise<MimeEntity> {
  const touched = deviations.some(({ at, path }) => at === 'inner' && /^-?\d*$/.test(path));
  const inner = touched ? parseMime(deviateOctets(deviations, 'inner', serialiseMime(entity))) : entity;
  const protection = deviationValue(deviations, 'cms', 'protection');
  if (protection !== undefined && protection !== 'none')
    throw new DeviationError('cms protection can be set to none only');
  if (protection === 'none' || client.usesInClear(service)) return Promise.resolve(inner);
  const key = keyFor(client, deviations, context);
  const changes = bodyChanges(deviations);
  const kms = signerFor(client, deviations, context);
  if (isUnsigned(deviations)) return unsignedBody(kms.profile, inner, key, changes.cms);
  const oldest = deviationValue(deviations, 'cms', 'key-period') === 'oldest';
  return (oldest ? kms.outdated : kms.protection).protect(inner, key, changes);
}

/**
 * Seals and sends. When the server says that the key has just been retired, once more under the key that took its place:
 * with a short overlap a request may be under way for longer than its key opens, and must not be lost for that. What is wrong on
 * purpose is not mended.
 *
 * @param send sends the body and rejects with the refusal
 */
export async function sendSealed<T>(
  client: McpttClient,
  entity: MimeEntity,
  service: Service,
  deviations: readonly Deviation[],
  context: SealingContext,
  send: (body: MimeEntity) => Promise<T>,
): Promise<T> {
  const seal = (): Promise<MimeEntity> => sealFor(client, entity, service, deviations, context);
  const body = await seal();
  try {
    return await send(body);
  } catch (error) {
    const warning = error instanceof UeError ? error.detail.warning : undefined;
    const keyId = typeof warning === 'string' ? retiredKeyId(warning) : undefined;
    if (keyId === undefined || deviations.length > 0) throw error;
    const whose = { userUri: client.mcpttId, sipSession: context.sipSession, clientId: client.clientId };
    if (!(await context.ceks.awaitSuccessor(keyId, whose, NEW_KEY_BOUND_MS))) throw error;
    return send(await seal());
  }
}

function keyFor(client: McpttClient, deviations: readonly Deviation[], context: SealingContext): UsableCek {
  const named = deviationValue(deviations, 'cms', 'key');
  const foreign = userNamed(named);
  const keyId = deviationValue(deviations, 'cms', 'key-id');
  const key =
    named !== undefined && foreign === undefined
      ? context.ceks.opening(named)
      : (foreign === undefined ? client : context.clientOf(foreign)).sealingKey(context.sipSession);
  return keyId === undefined ? key : { ...key, keyId };
}

/** The way to the KMS of the user who signs: with it go that user's key material and the profile. */
function signerFor(client: McpttClient, deviations: readonly Deviation[], context: SealingContext): KmsPort {
  const signer = userNamed(deviationValue(deviations, 'cms', 'signer'));
  const { kms } = signer === undefined ? client : context.clientOf(signer);
  if (kms === undefined)
    throw new UeError('UE_NOT_LOGGED_IN', `${client.user} is not logged in; do logIn first (step 3a)`);
  return kms;
}

const userNamed = (value: string | undefined): string | undefined =>
  value?.startsWith('user:') ? value.slice('user:'.length) : undefined;

/** The refusal of a body that should have been protected. */
export const inClear = (): UeError =>
  new UeError('UE_BODY_REFUSED', 'the body came in clear, and the service is protected', { why: 'in clear' });

/** Without key material nothing is taken, whatever key is held: only what is wrong with the Key ID is told. */
const cannotBeChecked =
  (openingKey: OpeningKey): OpeningKey =>
  async (id) => {
    await openingKey(id);
    throw new CekError('CEK_NONE', 'no user of this UE has key material to check a body with');
  };

/**
 * Opens what the server sent. A body in clear is taken only from a service that is not protected.
 * @returns the entity, and the key that opened it (undefined for a body in clear)
 * @throws UeError `UE_BODY_REFUSED`; its detail has `keyId` and `why` as far as they are known
 */
export async function openFromServer(
  body: MimeEntity,
  service: Service,
  clients: readonly McpttClient[],
  ceks: CekKeyStore,
): Promise<{ entity: MimeEntity; cek: UsableCek | undefined }> {
  if (!isProtected(body)) {
    if (clients.some((client) => client.usesInClear(service))) return { entity: body, cek: undefined };
    throw inClear();
  }
  let keyId: string | undefined;
  const openingKey = async (id: string): Promise<UsableCek> => {
    keyId = id;
    return ceks.awaitOpening(id, NEW_KEY_BOUND_MS);
  };
  try {
    // Whose body it is, its Key ID will say; the KMS's public keys are the same for all users who have fetched theirs.
    const kms = clients.find((client) => client.kms?.ready === true)?.kms;
    const opened = await (kms?.protection.open(body, openingKey) ??
      kekProtection().open(body, cannotBeChecked(openingKey)));
    return { entity: opened.entity, cek: opened.cek };
  } catch (error) {
    const told = error instanceof CekError || error instanceof SmimeError ? error : undefined;
    const code = told?.code ?? 'malformed';
    const unknown = code === 'CEK_UNKNOWN' || code === 'SMIME_UNKNOWN_KEY';
    const why = code === 'CEK_RETIRED' ? 'retired' : unknown ? 'unknown' : 'cannot be opened';
    const named = told?.keyId ?? keyId;
    throw new UeError('UE_BODY_REFUSED', `a body from the MCPTT server is refused: ${code}`, {
      why,
      code,
      ...(named === undefined ? {} : { keyId: named }),
    });
  }
}

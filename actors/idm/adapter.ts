/** oidc-provider's view of the {@link SessionStore}: one adapter per model, all on the one store of an IdM. */
import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider';
import type { SessionStore } from './session-store.ts';

/** For what the provider gives no lifetime. */
const DAY = 86_400_000;

export const grantIndex = (grantId: string): string => `grant:${grantId}`;
export const accountIndex = (accountId: string): string => `account:${accountId}`;
export const modelIndex = (model: string): string => `model:${model}`;
const uidIndex = (uid: string): string => `uid:${uid}`;

/** The factory that goes into the provider's configuration. */
export const adapterFactory =
  (store: SessionStore): AdapterFactory =>
  (model) =>
    createAdapter(model, store);

function createAdapter(model: string, store: SessionStore): Adapter {
  const keyOf = (id: string): string => `${model}:${id}`;
  const find = async (id: string): Promise<AdapterPayload | undefined> =>
    (await store.get(keyOf(id)))?.value as AdapterPayload | undefined;

  return {
    find,
    async upsert(id, payload, expiresIn) {
      const lifetime = expiresIn === undefined ? DAY : expiresIn * 1000;
      const indexes = [modelIndex(model)];
      if (payload.grantId !== undefined) indexes.push(grantIndex(payload.grantId));
      // The grant itself goes with what was issued under it.
      if (model === 'Grant') indexes.push(grantIndex(id));
      if (payload.accountId !== undefined) indexes.push(accountIndex(payload.accountId));
      if (model === 'Session' && payload.uid !== undefined) indexes.push(uidIndex(payload.uid));
      await store.put({ key: keyOf(id), value: { ...payload } }, indexes, lifetime);
    },
    async findByUid(uid) {
      const [entry] = await store.list(uidIndex(uid));
      return entry?.value as AdapterPayload | undefined;
    },
    /** User codes are of the device flow, which is off. */
    findByUserCode: () => Promise.resolve(undefined),
    async consume(id) {
      const payload = await find(id);
      if (payload === undefined) return;
      const lifetime = payload.exp === undefined ? DAY : payload.exp * 1000 - Date.now();
      const consumed = { ...payload, consumed: Math.floor(Date.now() / 1000) };
      await this.upsert(id, consumed, Math.max(1, Math.floor(lifetime / 1000)));
    },
    destroy: (id) => store.remove(keyOf(id)),
    revokeByGrantId: (grantId) => store.removeAll(grantIndex(grantId)),
  };
}

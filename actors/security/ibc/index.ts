/** Identity based cryptography as the actors use it; README.md shows how the parts fit. */
export type { BackendChoice } from './backend.ts';
export { createArithmetic } from './backend.ts';
export { EccsiVerifier } from './eccsi-native.ts';
export { type EngineLimits, LocalSakkeEngine, type SakkeEngine } from './engine.ts';
export { IbcError, type IbcErrorCode } from './errors.ts';
export {
  certificateOf,
  disposeKeySet,
  extractKeySet,
  generateKms,
  type KmsCertificate,
  type MasterSecrets,
  type UserKeySet,
  validateCertificate,
  validateKeySet,
} from './key-set.ts';
export { CEK_OCTETS, KEY_ID_OCTETS, type OpenedKey, openKey, type SealOptions, sealKey } from './key-transport.ts';
export type { Deviation, OpenOptions } from './mikey/open.ts';
export { MemoryReplayCache, type ReplayCache } from './mikey/replay.ts';
export { IbcPool, type PoolOptions } from './pool.ts';
export { createSigner, createVerifier, type IdentitySigner, type IdentityVerifier } from './signer.ts';
export {
  acceptedKeyPeriods,
  acceptedUids,
  computeUid,
  type KeyPeriods,
  keyPeriodBounds,
  keyPeriodNoAt,
} from './uid.ts';

export { KMS_AUDIENCE, KMS_SCOPE, type KmsConfig } from './config.ts';
export { createKms, type KmsShared } from './kms.ts';
export type { KmsPolicy, PolicyChange } from './policy.ts';

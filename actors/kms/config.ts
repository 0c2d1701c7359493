/** What a KMS is told when it is made. Everything but `kmsUri` and `mcpttServerId` has a default. */
import type { PolicyChange } from './policy.ts';

export interface KmsConfig {
  /** The name of this KMS in requests, certificates and UIDs, and the identity that signs CEKs. */
  readonly kmsUri: string;
  /** The identity of the MCPTT server: its client certificate's URI name, and whom its copy of a CEK is sealed to. */
  readonly mcpttServerId: string;
  /** Port to listen at, 0 = any free one. */
  readonly port?: number;
  /** Host name under which others reach the KMS; the address it listens at unless told. */
  readonly publicHost?: string;
  /** The `iss` of access tokens; the IdM's `issuer` endpoint unless told. */
  readonly issuer?: string;
  /** The `aud` and `scope` that an access token must have. */
  readonly audience?: string;
  readonly scope?: string;
  /** UserKeyPeriod and UserKeyOffset, seconds (TS 33.180 clause F.2.1). */
  readonly userKeyPeriod?: number;
  readonly userKeyOffset?: number;
  /**
   * Master secrets as JSON text, for those who keep them elsewhere (see master-secrets.ts). Otherwise they are in
   * `master-secrets.json` in the state folder, or live as long as the KMS where it has none.
   */
  readonly masterSecrets?: string;
  readonly policy?: PolicyChange;
  /** How long a request may take to come in, milliseconds; 10 s unless told. */
  readonly requestTimeout?: number;
  /** How long `connect` waits for the IdM's keys, milliseconds. */
  readonly connectWait?: number;
}

export const KMS_AUDIENCE = 'urn:3gpp:mcptt:kms';
export const KMS_SCOPE = '3gpp:mc:ptt_key_management_service';
/** 30 days, as in the examples of TS 33.180. */
export const USER_KEY_PERIOD = 2_592_000;

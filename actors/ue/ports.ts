/** What the UE's SIP side needs of its other sides: tokens from the IdM, keys from the KMS. */
import type { JsonObject } from '../../sim/control/actor.ts';
import type { BodyProtection } from '../messages/body-protection.ts';
import type { Deviation } from '../messages/deviation.ts';
import type { Profile } from '../security/smime/profiles.ts';
import type { LoginDeviations } from './idm-client.ts';

/** A user's tokens after step 3a. */
export interface LoggedIn {
  readonly mcpttId: string;
  /** Access tokens, as they came. */
  readonly mcpttToken: string;
  readonly kmsToken: string;
  /** Claims of both, for people to see. */
  readonly claims: { readonly mcptt: JsonObject; readonly kms: JsonObject };
  /** Gets both access tokens afresh; they and their claims are the new ones afterwards. */
  refresh(): Promise<void>;
  /** Ends the login at the IdM (RFC 7009). */
  revoke(): Promise<void>;
}

export interface IdmPort {
  /** Step 3a. */
  logIn(userName: string, password: string, deviations?: LoginDeviations): Promise<LoggedIn>;
}

/** One user's dealings with the KMS. CEKs go straight into the UE's key store; this is what else there is. */
export interface KmsPort {
  /**
   * Step 3b. Takes key material and, where the service demands protection, the CEK of the SIP session.
   * @returns the Key ID, undefined when the KMS gave no CEK because protection is off
   */
  requestKey(sipSession: string, deviations: readonly Deviation[]): Promise<{ keyId: string | undefined }>;
  /** LIFE-3: asks for an update of the CEK; the KMS decides. @returns the Key ID that is to be used now */
  askUpdate(sipSession: string, keyId: string): Promise<{ keyId: string }>;
  /** Tells the KMS that the user's CEK of a SIP session is not used any more. */
  ended(sipSession: string, reason: string): Promise<void>;
  /** Loses the connection of the event stream, which comes back by itself. */
  dropEvents(): void;
  /** Whether key material has come: before that nothing can be signed or checked. */
  readonly ready: boolean;
  /** The form of protected bodies, as the provider has decided. */
  readonly profile: Profile;
  /** How bodies are protected with this user's key material. */
  readonly protection: BodyProtection;
  /** The same, but signed with the oldest key material that the user holds: for bodies that are wrong on purpose. */
  readonly outdated: BodyProtection;
  /** How often the KMS's I_MESSAGEs deviated from the specifications and were opened all the same, by deviation. */
  readonly deviations?: Readonly<Partial<Record<string, number>>>;
  /** Ends the event stream and zeroes key material. */
  close(): Promise<void>;
}

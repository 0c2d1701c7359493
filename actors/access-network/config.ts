import type { AucKeys } from '../security/aka/auc.ts';

/** Configuration of the access network; plain JSON. */
export interface AccessNetworkConfig {
  /** Mobile country code of the serving network, three digits. */
  readonly mcc: string;
  /** Mobile network code, two or three digits. */
  readonly mnc: string;
  /** Who may attach: subscriber records; of each, only the IMSI and the keys are read. */
  readonly subscribers: readonly (AucKeys & { readonly imsi: string })[];
  /** TCP port for NAS; default 0 = ephemeral. */
  readonly port?: number;
  /** First IPv4 address given to a UE, counted up from there; default `10.45.0.1`. */
  readonly firstPdnAddress?: string;
  /** Access point name of the default bearer; default `ims`. */
  readonly apn?: string;
  /** How long each answer of a UE is waited for, as T3460, T3450 and T3422 do; default 6000. */
  readonly guardMs?: number;
}

export type AccessNetworkErrorCode =
  | 'ACCESS_NETWORK_NO_SIP_CORE'
  | 'ACCESS_NETWORK_NOT_ATTACHED'
  | 'ACCESS_NETWORK_BAD_ARGUMENT'
  | 'ACCESS_NETWORK_DETACH_UNANSWERED';

export class AccessNetworkError extends Error {
  readonly code: AccessNetworkErrorCode;

  constructor(code: AccessNetworkErrorCode, message: string) {
    super(message);
    this.name = 'AccessNetworkError';
    this.code = code;
  }
}

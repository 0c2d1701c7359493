/**
 * What the home network keeps of one subscriber: the AuC's and the HSS's part, as the fixtures hold it.
 * Field names follow TS 23.003 (identities), TS 33.102 (keys) and TS 29.228 annex B (initial filter criteria).
 * Plain JSON, so that a configuration file can carry it.
 */
export interface Subscriber {
  /** 14 or 15 digits, MCC and MNC first (TS 23.003 2.2). */
  readonly imsi: string;
  /** Private user identity, `user@realm` without a scheme (TS 23.003 13.3). */
  readonly impi: string;
  /** The implicit registration set, `sip:` and `tel:` URIs; the first is the default IMPU (TS 23.228 5.2.1a). */
  readonly impus: readonly string[];
  /** Members of `impus` that may not be registered by themselves (TS 23.228 5.2.1). */
  readonly barredImpus?: readonly string[];
  /** Subscriber key K, 16 octets in hex. */
  readonly k: string;
  /** OPc = OP xor E_K(OP), 16 octets in hex (TS 35.206 clause 4.1). */
  readonly opc: string;
  /** Authentication management field, 2 octets in hex; its first bit is 1 for EPS AKA (TS 33.401 6.1.1). */
  readonly amf: string;
  /** SQN = SEQ || IND from which the AuC counts on, 6 octets in hex (TS 33.102 C.1.1.1). */
  readonly sqn: string;
  readonly initialFilterCriteria: readonly InitialFilterCriterion[];
}

/** TS 29.228 B.2.2. */
export interface InitialFilterCriterion {
  /** Lower numbers are looked at first. */
  readonly priority: number;
  /** Absent: the criterion holds for every request. */
  readonly triggerPoint?: TriggerPoint;
  readonly applicationServer: ApplicationServer;
}

/** What is tried when an application server cannot be reached or fails (TS 29.228 B.2.2). */
export type DefaultHandling = 'SESSION_CONTINUED' | 'SESSION_TERMINATED';

export interface ApplicationServer {
  /** SIP URI of the server. Its host is resolved by the core (`hosts` in its configuration), as DNS would do it. */
  readonly serverName: string;
  /** Default: SESSION_CONTINUED. */
  readonly defaultHandling?: DefaultHandling;
  /** Text for the third-party REGISTER's `<service-info>` element. */
  readonly serviceInfo?: string;
  /** The UE's REGISTER goes into the third-party REGISTER's body (without its Authorization header field). */
  readonly includeRegisterRequest?: boolean;
  /** The core's 200 to the UE goes into the third-party REGISTER's body. */
  readonly includeRegisterResponse?: boolean;
}

/**
 * Conditions in groups (TS 29.228 B.2.3). Conjunctive normal form: within a group one has to hold, and every group has
 * to. Disjunctive: within a group all have to hold, and one group is enough.
 */
export interface TriggerPoint {
  readonly conditionTypeCnf: boolean;
  readonly servicePointTriggers: readonly ServicePointTrigger[];
}

export type RegistrationType = 'INITIAL_REGISTRATION' | 'RE_REGISTRATION' | 'DE_REGISTRATION';

export type SessionCase = 'ORIGINATING_SESSION' | 'TERMINATING_REGISTERED';

/** One condition and the groups that it belongs to. */
export type ServicePointTrigger = {
  readonly conditionNegated?: boolean;
  readonly group: readonly number[];
} & (
  | { readonly method: string; readonly registrationType?: readonly RegistrationType[] }
  /** Regular expression that the Request-URI has to match. */
  | { readonly requestUri: string }
  /** The header field is there, and one of its values matches `content` (a regular expression) where that is given. */
  | { readonly sipHeader: { readonly header: string; readonly content?: string } }
  | { readonly sessionCase: SessionCase }
);

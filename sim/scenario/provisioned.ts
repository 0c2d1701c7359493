/**
 * What the testbed's actors were set up with, as far as scenarios hold them against it: names, lifetimes, and the keys of subscribers. It
 * comes with the world, so that no scenario knows a name of its own but the handles of users.
 */
export interface Provisioned {
  readonly network: {
    /** Public service identity of the participating MCPTT function: Request-URI of what UEs send. */
    readonly participatingPsi: string;
    /** MCPTT ID of the MCPTT server, to whom a KMS pushes. */
    readonly mcpttServerId: string;
    readonly oauthClientId: string;
  };
  readonly policy: {
    /** Seconds for which the IdM's access tokens are good. */
    readonly tokens: { readonly lifetime: number };
  };
  readonly users: readonly ProvisionedUser[];
  readonly subscribers: readonly ProvisionedSubscriber[];
}

export interface ProvisionedUser {
  /** What the user types at the IdM, and by which scenarios know him. */
  readonly userName: string;
  readonly mcpttId: string;
  readonly profile: { readonly privateCall: boolean };
}

export interface ProvisionedSubscriber {
  readonly imsi: string;
  readonly impi: string;
  readonly impus: readonly string[];
  /** 16 octets each, hex. */
  readonly k: string;
  readonly opc: string;
  readonly initialFilterCriteria: readonly { readonly applicationServer: { readonly serverName: string } }[];
}

/**
 * POL-1 (pCR 7.x): the MCPTT service provider may require protection, for each service of the MCPTT server by itself. With one
 * that needs it a user gets a CEK; bodies of the others travel in clear.
 */

/** Service authorization and settings (PUBLISH), messages (MESSAGE), private calls (INVITE and its dialog). */
export const SERVICES = ['authorisation', 'messaging', 'private-call'] as const;
export type Service = (typeof SERVICES)[number];

export interface ServiceProtection {
  /** What holds for a service that is not named below. */
  readonly required: boolean;
  readonly services?: Readonly<Partial<Record<Service, boolean>>>;
}

/** What `services` of a policy may be. @returns undefined for anything else */
export function readServices(value: unknown): ServiceProtection['services'] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const known = (name: string): boolean => (SERVICES as readonly string[]).includes(name);
  const valid = Object.entries(value).every(([name, required]) => known(name) && typeof required === 'boolean');
  return valid ? value : undefined;
}

/** Whether bodies of this service must be protected under a CEK. */
export const mustBeProtected = ({ required, services }: ServiceProtection, service: Service): boolean =>
  services?.[service] ?? required;

/** Whether a CEK is needed at all. */
export const needsCek = (protection: ServiceProtection): boolean =>
  SERVICES.some((service) => mustBeProtected(protection, service));

/**
 * Whether a body of this service goes in clear to a user who has a CEK: where no service needs protection any more, a CEK from
 * before serves on.
 */
export const goesInClear = (protection: ServiceProtection, service: Service): boolean =>
  needsCek(protection) && !mustBeProtected(protection, service);

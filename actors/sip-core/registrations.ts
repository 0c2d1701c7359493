/** Where the registrar keeps registrations. Narrow and asynchronous, so that replicas can share one store behind it. */
import { identityKey } from '../messages/sip-headers.ts';
import type { FlowName } from './register-request.ts';

/** One registered implicit set. All times in milliseconds since 1970; plain JSON. */
export interface Registration {
  /** Private user identity; there is one registration for each. */
  readonly impi: string;
  /** The IMPU that the UE registered. */
  readonly impu: string;
  /** Members of the implicit set that may be used, default IMPU first. */
  readonly impus: readonly string[];
  /** Contact value with its parameters, `expires` taken off. */
  readonly contact: string;
  /** The SIP session of the pCR. */
  readonly contactUri: string;
  readonly flow: FlowName;
  readonly callId: string;
  readonly cseq: number;
  readonly expiresAt: number;
  readonly accessNetworkInfo?: string;
  readonly chargingVector: string;
}

export interface RegistrationStore {
  byImpi(impi: string): Promise<Registration | undefined>;
  /** The registration whose implicit set holds `impu`. */
  byImpu(impu: string): Promise<Registration | undefined>;
  /** The registrations that were made over `flow`; several when UEs share a connection. */
  byFlow(flow: FlowName): Promise<readonly Registration[]>;
  all(): Promise<readonly Registration[]>;
  /** Adds or replaces the registration of its IMPI. */
  save(registration: Registration): Promise<void>;
  /** Removes and gives the registration: of several who try, one gets it. */
  remove(impi: string): Promise<Registration | undefined>;
}

/** Forgets with the process. */
export function memoryRegistrationStore(): RegistrationStore {
  const byImpi = new Map<string, Registration>();
  const byImpu = new Map<string, Registration>();
  const byFlow = new Map<FlowName, Set<Registration>>();

  const forget = (impi: string): Registration | undefined => {
    const registration = byImpi.get(impi);
    if (registration === undefined) return undefined;
    byImpi.delete(impi);
    for (const impu of registration.impus) byImpu.delete(identityKey(impu));
    const onFlow = byFlow.get(registration.flow);
    onFlow?.delete(registration);
    if (onFlow?.size === 0) byFlow.delete(registration.flow);
    return registration;
  };
  return {
    byImpi: (impi) => Promise.resolve(byImpi.get(impi)),
    byImpu: (impu) => Promise.resolve(byImpu.get(identityKey(impu))),
    byFlow: (flow) => Promise.resolve([...(byFlow.get(flow) ?? [])]),
    all: () => Promise.resolve([...byImpi.values()]),
    save(registration) {
      forget(registration.impi);
      byImpi.set(registration.impi, registration);
      for (const impu of registration.impus) byImpu.set(identityKey(impu), registration);
      byFlow.set(registration.flow, (byFlow.get(registration.flow) ?? new Set()).add(registration));
      return Promise.resolve();
    },
    remove: (impi) => Promise.resolve(forget(impi)),
  };
}

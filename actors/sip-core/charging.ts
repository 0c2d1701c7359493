import { randomBytes } from 'node:crypto';

/** P-Charging-Vector as the P-CSCF makes it for each request of a UE (RFC 7315 4.6, TS 24.229 5.2.2). */
export function newChargingVector(generatedAt: string, originator: string): string {
  return `icid-value="${randomBytes(16).toString('hex')}";icid-generated-at=${generatedAt};orig-ioi=${originator}`;
}

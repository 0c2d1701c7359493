import type { IdentityRequest } from '../../actors/security/ca.ts';
import type { Network } from '../../fixtures/load.ts';
import type { ActorKind } from '../control/actor.ts';

/**
 * What an actor's certificate says beside its host names: the names by which its peers know it on HTTP-1. The MCPTT
 * server is known by its identity, the KMS by its KmsUri.
 */
export function identityOf(name: string, kind: ActorKind, network: Network): IdentityRequest {
  return {
    commonName: name,
    uri: kind === 'mcptt-as' ? [network.mcpttServerId] : [],
    dns: kind === 'kms' ? [network.kmsUri] : [],
  };
}

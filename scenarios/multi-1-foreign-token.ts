import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { bindings } from './checks/keys.ts';
import { refusedBySip } from './checks/refusal.ts';
import { anyMcpttId, expectSecretFromSip } from './checks/secrecy.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

/**
 * MULTI-1 (pCR 7.x.1): a key says whose body it is; what another user has put into it is refused.
 *
 * ```
 * UE                                            MCPTT server
 *  ├── PUBLISH under alice's key, bob's token ─────▶│ 403, binds neither
 *  ├── PUBLISH under bob's key, alice's token ─────▶│ 403 (signed by alice, and signed by bob)
 * ```
 */
export const multi1ForeignToken: Scenario = {
  id: 'multi-1-foreign-token',
  title: 'A body under one user’s key that carries another user’s token is refused and binds nobody',
  requirements: ['MULTI-1', 'STEP-4', 'MIME-2'],
  actors: withUes('ue'),
  users: ['alice', 'bob'],
  steps: [
    bringUp('keyed', { ue: ['alice', 'bob'] }),
    {
      number: '4',
      title: 'Key and token of different users are refused, whoever signs',
      clause: 'pCR 7.x.1',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        const publish = (user: string, ...deviate: object[]): Promise<unknown> =>
          t.actor('ue').do('publish', { user, deviate: deviate as never });
        const set = (path: string, value: string): object => ({ at: 'cms', op: 'set', path, value });
        const token = (value: string): object => ({ at: 'token', op: 'replace', path: '', value });
        await refusedBySip(t, 'alice’s key, bob’s token', publish('alice', token('user:bob')), 403, /authorisation/);
        await refusedBySip(
          t,
          'bob’s key, alice’s token',
          publish('alice', set('key', 'user:bob')),
          403,
          /another identity/,
        );
        await refusedBySip(
          t,
          'bob’s key, alice’s token, signed by bob',
          publish('alice', set('key', 'user:bob'), set('signer', 'user:bob')),
          403,
          /authorisation/,
        );
        expect(await bindings(t), 'bindings').to.deep.equal([]);
        expectSecretFromSip(t, anyMcpttId(t));
      },
    },
  ],
};

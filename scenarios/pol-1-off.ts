import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { attempt } from './checks/attempt.ts';
import { bindings, client, kmsKeys, mcpttId, serverKeys } from './checks/keys.ts';
import { readable } from './checks/secrecy.ts';
import { expectServiceRequest } from './checks/service-request.ts';
import { body, header, startLine } from './checks/sip.ts';
import { hasElement } from './checks/xml.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

/**
 * POL-1, protection not required (pCR 7.x): no CEK is made or pushed, and the PUBLISH travels with the same multipart in clear.
 *
 * ```
 * UE                     SIP core              MCPTT server                      KMS
 *  ├── KmsRequest ─────────────────────────────────────────────────────────────▶│ policy: no protection
 *  │◀── KmsResponse: key sets, no Cek ──────────────────────────────────────────┤ no push
 *  ├── PUBLISH, multipart ─▶│ reads all of it ─▶│ binds
 *  │◀── 200, profile ───────┤ reads all of it ──┤
 * ```
 */
export const pol1Off: Scenario = {
  id: 'pol-1-off',
  title:
    'Protection is not required: no CEK is made, PUBLISH and profile travel in clear, and the SIP core can read them',
  requirements: ['POL-1'],
  actors: withUes('ue'),
  users: ['alice'],
  steps: [
    bringUp('logged-in'),
    {
      number: '3b',
      title: 'The KMS gives key material and no CEK, and pushes nothing',
      clause: 'pCR 7.x',
      responsible: 'kms',
      guard: 15_000,
      run: async (t) => {
        const before = new Set((await kmsKeys(t)).map(({ keyId }) => keyId));
        await t.actor('kms').do('setPolicy', { protectionRequired: false });
        await t.actor('mcptt-as').do('setPolicy', { required: false });
        const asking = await attempt(t, t.actor('ue').do('requestKey', { user: 'alice' }));
        const response = await t.expect('the KmsResponse', {
          interface: 'HTTP-1',
          actor: 'ue',
          direction: 'received',
          status: 200,
          where: (r) => hasElement(body(r), 'KmsKeyProv'),
        });
        expect(hasElement(body(response), 'KmsKeySet'), 'key material is given').to.equal(true);
        expect(hasElement(body(response), 'Cek'), 'a CEK is given').to.equal(false);
        expect(t.records({ where: (r) => startLine(r).includes('/cek/v1/push') }), 'pushes').to.deep.equal([]);
        expect(
          (await kmsKeys(t)).filter(({ keyId }) => !before.has(keyId)),
          'CEKs made',
        ).to.deep.equal([]);
        expect(
          (await serverKeys(t)).filter(({ user }) => user === mcpttId(t, 'alice')),
          'CEKs at the server',
        ).to.deep.equal([]);
        t.hold('ue', 'pCR 7.x');
        expect(asking.outcome(), 'what the UE makes of an answer without a CEK').to.deep.equal({ protection: 'off' });
        expect((await client(t, 'alice')).keyId, 'Key ID at the UE').to.equal(undefined);
      },
    },
    {
      number: '4',
      title:
        'The PUBLISH carries the same multipart in clear and is served; the SIP core could read token, identities and profile',
      clause: 'TS 24.379 7.3.3',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        const publishing = await attempt(t, t.actor('ue').do('publish', { user: 'alice' }));
        const sip = { interface: 'SIP-1', actor: 'ue', method: 'PUBLISH' } as const;
        t.hold('ue', 'TS 24.379 7.2.2');
        const sent = await publishing.seen('the PUBLISH', { ...sip, direction: 'sent' });
        expect(header(sent, 'Content-Type'), 'body type').to.match(/^multipart\/mixed/i);
        for (const type of ['application/vnd.3gpp.mcptt-info+xml', 'application/poc-settings+xml'])
          expect(body(sent), 'the same parts as under protection').to.include(type);
        const { clientId, bound, profile } = await client(t, 'alice');
        t.hold('ue', 'TS 24.379 7.2.2');
        expectServiceRequest(t, sent, clientId);
        t.hold('mcptt-as', 'TS 24.379 7.3.3');
        publishing.outcome();
        const ok = await t.expect('the 200', { ...sip, direction: 'received', status: 200 });
        expect(header(ok, 'Content-Type'), 'profile').to.match(/^application\/vnd\.3gpp\.mcptt-user-profile\+xml/i);
        expect(bound, 'bound at the UE').to.equal(true);
        expect(profile, 'profile at the UE').to.be.an('object');
        expect(
          (await bindings(t)).map((b) => b.mcpttId),
          'bound at the server',
        ).to.include(mcpttId(t, 'alice'));
        const secrets = [
          { what: 'MCPTT client id', text: clientId },
          { what: 'user profile', text: 'mcptt-user-profile' },
        ];
        const read = [...readable(t.about(sent), secrets), ...readable(ok, secrets)];
        expect(read, 'what the SIP core could read').to.include.members(['token', 'MCPTT client id', 'user profile']);
        t.show('Read by the SIP core', [...new Set(read)].join(', '));
      },
    },
  ],
};

import { expect } from 'chai';
import { KMS_PATHS } from '../actors/messages/kms/namespaces.ts';
import { buildKmsRequest } from '../actors/messages/kms/request.ts';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { kmsKeys, sharedKey, sipSession } from './checks/keys.ts';
import { answerToOutsider, outsiders, REFUSED } from './checks/outsider.ts';
import { body } from './checks/sip.ts';
import { elements, hasElement } from './checks/xml.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

/**
 * INT-3 (pCR 1, 7.x): key management is for who has a KMS access token, and for the MCPTT server by its certificate; anybody
 * else is refused at every resource that gives, changes or ends a key.
 *
 * ```
 * anybody                                           KMS
 *  ├── keyprov, update, end, sessions, events ──────▶│ 401
 *  ├── the same, under a certificate of nobody's ───▶│ 401
 * ```
 */
export const int3: Scenario = {
  id: 'int-3',
  title: 'Who has neither a KMS token nor the MCPTT server’s certificate gets, changes and ends no key',
  requirements: ['INT-3', 'AUTH-1', 'HTTP1-1'],
  actors: withUes('ue'),
  users: ['alice'],
  steps: [
    bringUp('keyed'),
    {
      number: '3b',
      title: 'Requests without authorization are refused at every resource, and no key is another for it',
      clause: 'pCR 7.x',
      responsible: 'kms',
      guard: 20_000,
      run: async (t) => {
        const { keyId } = await sharedKey(t, 'alice');
        const session = await sipSession(t);
        const before = await kmsKeys(t);
        const { https } = await t.actor('kms').read<{ https: string }>('endpoints');
        const asked = t
          .records(
            { interface: 'HTTP-1', actor: 'ue', direction: 'sent', where: (r) => hasElement(body(r), 'KmsRequest') },
            'all',
          )
          .at(-1)!;
        const [text, own] = [body(t.about(asked)), { sipSession: session, keyId }];
        const common = {
          userUri: elements(text, 'UserUri')[0]!,
          kmsUri: elements(text, 'KmsUri')[0]!,
          time: asked.time,
          clientId: elements(text, 'ClientId')[0]!,
          cekRequests: [],
          cekEnds: [],
        };
        for (const [what, identity] of outsiders(t)) {
          // Under a certificate somebody may pose as the MCPTT server, too.
          const posesAs = identity === undefined ? common.userUri : t.provisioned.network.mcpttServerId;
          for (const [path, more] of [
            [KMS_PATHS.keyProv, { cekRequests: [{ sipSession: session }] }],
            [KMS_PATHS.cekUpdate, { cekRequests: [own] }],
            [KMS_PATHS.cekSessions, { cekRequests: [{ sipSession: session }] }],
            [KMS_PATHS.cekEnd, { cekEnds: [{ keyId, reason: 'revoked' as const }] }],
          ] as const) {
            const request = buildKmsRequest({ ...common, userUri: posesAs, clientReqUrl: `${https}${path}`, ...more });
            const answer = await answerToOutsider(`${https}${path}`, request, identity);
            expect(answer, `answer to POST ${path} ${what}`).to.match(REFUSED);
          }
          const stream = `${KMS_PATHS.cekEvents}?client=${encodeURIComponent(common.clientId)}`;
          expect(
            await answerToOutsider(`${https}${stream}`, undefined, identity),
            `answer to GET ${stream} ${what}`,
          ).to.match(REFUSED);
          t.show(`Requests ${what}`, 'refused at every resource');
        }
        expect(await kmsKeys(t), 'CEKs at the KMS').to.deep.equal(before);
      },
    },
  ],
};

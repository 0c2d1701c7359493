import { expect } from 'chai';
import type { Json } from '../../../sim/control/actor.ts';
import { DOMAIN, refusal, startWorld, subscribers, until, type World } from './world.ts';

const FAILED = '101 service authorisation failed';

for (const profile of ['kek', 'kek+sign', 'direct'] as const) {
  describe(`service authorization by PUBLISH under profile ${profile} (TS 24.379 7.3.3, pCR step 4)`, () => {
    let world: World;
    before(async () => {
      world = await startWorld({ profile });
      await world.ues[0].register([]);
    });
    after(() => world?.close());

    const ready = async (user: string): Promise<void> => {
      await world.ues[0].logIn(user);
      await world.ues[0].requestKey(user, []);
    };
    const bound = async (): Promise<string[]> =>
      ((await world.server.view()).bindings as { mcpttId: string }[]).map(({ mcpttId }) => mcpttId);

    it('binds user, client id, SIP session and IMPU, and gives the profile under the CEK', async () => {
      const [ue] = world.ues;
      await world.bind(ue, 'alice');
      const view = ue.clientOf('alice').view(ue.sipSession);
      expect(view).to.include({ bound: true, mcpttId: 'sip:alice@mcptt.example' });
      expect(view.profile).to.include({ mcpttId: 'sip:alice@mcptt.example', privateCall: true });
      const [binding] = (await world.server.view()).bindings as unknown as Record<string, Json>[];
      expect(binding).to.include({
        mcpttId: 'sip:alice@mcptt.example',
        clientId: ue.clientOf('alice').clientId,
        sipSession: ue.sipSession,
        impu: ue.impu,
        state: 'bound',
        answerMode: 'automatic',
      });
    });

    it('knows a user by the tel URI of the same implicit registration set, and is reached at the SIP URI', async () => {
      const [ue] = world.ues;
      const preferred = {
        at: 'sip',
        op: 'set',
        path: 'P-Preferred-Identity',
        value: `<${subscribers[0]!.impus[1]}>`,
      } as const;
      expect(await ue.publish('alice', [preferred])).to.include({ status: 200 });
      const [binding] = (await world.server.view()).bindings as unknown as Record<string, Json>[];
      expect(binding).to.include({ impu: ue.impu });
    });

    it('refreshes with SIP-If-Match and refuses an entity-tag that it does not know (RFC 3903 6)', async () => {
      const [ue] = world.ues;
      const before = ue.clientOf('alice').binding?.etag;
      const { etag } = await ue.publish('alice', []);
      expect(etag).to.be.a('string').and.not.equal(before);
      const stale = [{ at: 'sip', op: 'set', path: 'SIP-If-Match', value: 'no-such-tag' } as const];
      expect(await refusal(ue.publish('alice', stale))).to.include({ status: 412 });
      expect(await bound()).to.deep.equal(['sip:alice@mcptt.example']);
    });

    it('refuses tokens that are expired, early, of another issuer, audience, scope or type, tampered or missing, and binds nothing', async () => {
      const [ue] = world.ues;
      await ready('bob');
      const now = Math.floor(Date.now() / 1000);
      const wrong = {
        expired: { exp: now - 60 },
        'not valid yet': { nbf: now + 600 },
        'of another issuer': { iss: 'https://elsewhere.example' },
        'for the KMS': { aud: 'urn:3gpp:mcptt:kms' },
        'without the scope': { scope: 'openid' },
        'without mcptt_id': { mcptt_id: undefined },
      };
      for (const [what, claims] of Object.entries(wrong)) {
        const deviate = [{ at: 'token', op: 'replace', path: '', value: await world.token('bob', claims) } as const];
        expect(await refusal(ue.publish('bob', deviate)), what).to.include({ status: 403, warning: FAILED });
      }
      const tampered = [
        [{ at: 'token', op: 'flip', path: '-1' } as const],
        [{ at: 'jwt', op: 'set', path: 'mcptt_id', value: 'sip:carol@mcptt.example' } as const],
        [
          { at: 'jwt', op: 'set', path: 'header.alg', value: 'none' } as const,
          { at: 'jwt', op: 'remove', path: 'signature' } as const,
        ],
        [{ at: 'token', op: 'replace', path: '', value: 'other' } as const],
        [{ at: 'mcptt-info', op: 'remove', path: 'mcptt-access-token' } as const],
        [{ at: 'mcptt-info', op: 'remove', path: 'mcptt-client-id' } as const],
        [
          {
            at: 'mcptt-info',
            op: 'set',
            path: 'mcptt-client-id',
            value: 'urn:uuid:00000000-0000-4000-8000-000000000000',
          } as const,
        ],
      ];
      for (const deviate of tampered) {
        expect(await refusal(ue.publish('bob', deviate)), JSON.stringify(deviate)).to.include({
          status: 403,
          warning: FAILED,
        });
      }
      expect(await bound()).to.deep.equal(['sip:alice@mcptt.example']);
    });

    it("refuses a body under user A's key that carries user B's token (MULTI-1)", async () => {
      const [ue] = world.ues;
      await ready('bob');
      const carried = [{ at: 'token', op: 'replace', path: '', value: 'user:alice' } as const];
      expect(await refusal(ue.publish('bob', carried))).to.include({ status: 403, warning: FAILED });
      const foreign = [{ at: 'cms', op: 'set', path: 'key', value: 'user:alice' } as const];
      expect((await refusal(ue.publish('bob', foreign))).status).to.equal(403);
      expect(await bound()).to.deep.equal(['sip:alice@mcptt.example']);
    });

    it('refuses an extension that it does not have (420) and a coding that it does not know (415)', async () => {
      const [ue] = world.ues;
      const set = (path: string, value: string) => [{ at: 'sip', op: 'set', path, value } as const];
      for (const run of [
        ue.publish('alice', set('Require', 'tdialog, x')),
        ue.sendMessage('alice', 'sip:bob@mcptt.example', 'x', set('Require', 'tdialog, x')),
      ]) {
        expect(await refusal(run)).to.include({ status: 420 });
      }
      const last = Buffer.from(
        world.records.findLast(({ actor, direction }) => actor === 'mcptt-as' && direction === 'sent')!.bytes,
      );
      expect(last.toString()).to.match(/^Unsupported: tdialog, ?x\r$/m);
      expect(await refusal(ue.publish('alice', set('Content-Encoding', 'gzip')))).to.include({ status: 415 });
    });

    it('knows only users of the service (404, 141)', async () => {
      const [ue] = world.ues;
      await ready('bob');
      // A good token of somebody who is a user of the IdM and not of this service, under a key that is hers.
      const stranger = world.stranger(ue, 'bob', 'sip:mallory@mcptt.example');
      expect(await refusal(stranger)).to.include({
        status: 404,
        warning: '141 user unknown to the participating function',
      });
    });

    it('says of a Key ID whether it is unknown, retired or of another user, and of a body that it cannot be opened (MIME-2)', async () => {
      const [ue, other] = world.ues;
      await ready('bob');
      const keyId = ue.clientOf('bob').sealingKey(ue.sipSession).keyId;
      const refusedAs = async (
        deviate: Parameters<typeof ue.publish>[1],
      ): Promise<{ status: unknown; warning: unknown }> => {
        const { status, warning } = await refusal(ue.publish('bob', deviate));
        return { status, warning };
      };
      const named = (id: string) => [{ at: 'cms', op: 'set', path: 'key-id', value: id } as const];
      expect(await refusedAs(named('f0000001'))).to.deep.equal({
        status: 493,
        warning: 'Undecipherable, Key ID f0000001: unknown',
      });
      const old = world.server.ceks.end({ userUri: 'sip:bob@mcptt.example' }, 'expired')[0]!;
      expect(await refusedAs(named(old))).to.deep.equal({
        status: 493,
        warning: `Undecipherable, Key ID ${old}: retired`,
      });
      await ue.requestKey('bob', []);
      await other.register([]);
      await other.logIn('carol');
      await other.requestKey('carol', []);
      const foreign = other.clientOf('carol').sealingKey(other.sipSession).keyId;
      expect(await refusedAs(named(foreign))).to.deep.equal({
        status: 493,
        warning: `Undecipherable, Key ID ${foreign}: of another user`,
      });
      expect(keyId).to.match(/^f[0-9a-f]{7}$/);
      if (profile === 'direct') return; // CBC has no tag: see the README of security/smime
      const current = ue.clientOf('bob').sealingKey(ue.sipSession).keyId;
      expect(await refusedAs([{ at: 'cms', op: 'flip', path: '-1' }])).to.deep.equal({
        status: 493,
        warning: `Undecipherable, Key ID ${current}: cannot be opened`,
      });
    });

    it('refuses a body in clear (403), another body type (415), no body (415), another resource (404) or event (489), malformed parts (400)', async () => {
      const [ue] = world.ues;
      await ready('bob');
      const clear = await refusal(ue.publish('bob', [{ at: 'cms', op: 'set', path: 'protection', value: 'none' }]));
      expect(clear).to.include({ status: 403, warning: '399 body protection is required' });
      const cases = [
        [415, { at: 'sip', op: 'set', path: 'Content-Type', value: 'text/plain' }],
        [415, { at: 'sip', op: 'set', path: 'body', value: '' }],
        [404, { at: 'sip', op: 'set', path: 'request-uri', value: `sip:somebody-else@${DOMAIN}` }],
        [489, { at: 'sip', op: 'set', path: 'Event', value: 'presence' }],
        [400, { at: 'inner', op: 'remove', path: 'mcptt-info' }],
        [400, { at: 'inner', op: 'remove', path: 'poc-settings' }],
        [400, { at: 'poc-settings', op: 'set', path: 'entity', value: '' }],
        [400, { at: 'sip', op: 'set', path: 'Expires', value: 'soon' }],
        [400, { at: 'sip', op: 'set', path: 'body', value: '*** no base64 ***' }],
      ] as const;
      for (const [status, deviation] of cases) {
        expect((await refusal(ue.publish('bob', [deviation]))).status, deviation.path).to.equal(status);
      }
    });

    if (profile === 'kek+sign') {
      it('refuses a body that is not signed, or not by the user whose key it is under (IBC-1)', async () => {
        const [ue] = world.ues;
        await ready('bob');
        const unsigned = await refusal(ue.publish('bob', [{ at: 'cms', op: 'remove', path: 'signature' }]));
        expect(unsigned).to.include({ status: 403, warning: '399 body signature missing' });
        const other = await refusal(ue.publish('bob', [{ at: 'cms', op: 'set', path: 'signer', value: 'user:alice' }]));
        expect(other).to.include({ status: 403, warning: '399 body signed by another identity' });
      });
    }

    it('logs one user off and leaves the others alone', async () => {
      const [ue] = world.ues;
      await ready('bob');
      await ue.publish('bob', []);
      expect(await bound()).to.have.members(['sip:alice@mcptt.example', 'sip:bob@mcptt.example']);
      const keyId = ue.clientOf('alice').sealingKey(ue.sipSession).keyId;
      await ue.logOff('alice', []);
      expect(await bound()).to.deep.equal(['sip:bob@mcptt.example']);
      await until('the KMS has been told', () =>
        world.told.some(({ userUri }) => userUri === 'sip:alice@mcptt.example'),
      );
      expect(world.told.at(-1)).to.deep.include({ sipSession: ue.sipSession, reason: 'logged-off' });
      const ceks = (await world.server.view()).ceks as { keyId: string; user: string }[];
      expect(ceks.filter(({ user }) => user === 'sip:alice@mcptt.example')).to.deep.equal([]);
      const retired = [{ at: 'cms', op: 'set', path: 'key-id', value: keyId } as const];
      expect(await refusal(ue.publish('bob', retired))).to.include({
        status: 493,
        warning: `Undecipherable, Key ID ${keyId}: retired`,
      });
      expect(ue.clientOf('alice').view(ue.sipSession)).to.include({ loggedIn: false, bound: false });
      expect(ue.clientOf('bob').view(ue.sipSession)).to.include({ bound: true });
    });

    it('takes requests from nobody but the SIP core', async () => {
      const answer = await world.fromStranger(
        `PUBLISH sip:x@y SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.2;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:x@y>\r\nCall-ID: stranger-${profile}\r\nCSeq: 1 PUBLISH\r\nMax-Forwards: 70\r\nP-Asserted-Identity: <${world.ues[0].impu}>\r\nEvent: poc-settings\r\nContent-Length: 0\r\n\r\n`,
      );
      expect(answer).to.match(/^SIP\/2\.0 403 /);
    });
  });
}

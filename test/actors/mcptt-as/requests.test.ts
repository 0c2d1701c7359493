import { expect } from 'chai';
import type { UserEquipment } from '../../../actors/ue/equipment.ts';
import { refusal, startLines, startWorld, until, type World } from './world.ts';

/** The id of the only call of a UE. */
const callIdAt = (ue: UserEquipment): string => ue.calls.list()[0]!.callId as string;

const BOB = 'sip:bob@mcptt.example';

for (const profile of ['kek', 'kek+sign', 'direct'] as const) {
  describe(`requests of authorized users under profile ${profile}`, () => {
    let world: World;
    before(async () => {
      world = await startWorld({ profile });
      await world.bind(world.ues[0], 'alice');
      await world.bind(world.ues[1], 'bob');
    });
    after(() => world?.close());

    it("MESSAGE: opened with A's CEK, sealed with B's, read by nobody between", async () => {
      const [a, b] = world.ues;
      world.records.length = 0;
      expect(await a.sendMessage('alice', BOB, 'to Bob, äöü €', [])).to.deep.equal({ status: 200 });
      const keyA = a.clientOf('alice').sealingKey(a.sipSession).keyId;
      const keyB = b.clientOf('bob').sealingKey(b.sipSession).keyId;
      const message = b.clientOf('bob').inbox.at(-1);
      expect(message).to.deep.include({ from: 'sip:alice@mcptt.example', text: 'to Bob, äöü €', keyId: keyB });
      expect(keyA).not.to.equal(keyB);
      for (const { bytes } of world.records) {
        const text = Buffer.from(bytes).toString();
        const decoded = text + Buffer.from(text.split('\r\n\r\n')[1] ?? '', 'base64').toString('latin1');
        for (const secret of ['alice@mcptt', 'bob@mcptt', 'to Bob', 'mcpttinfo'])
          expect(decoded).not.to.include(secret);
      }
    });

    it('MESSAGE: refuses an unknown user (404), one without service (480), a body in clear (403)', async () => {
      const [a] = world.ues;
      const unknown = await refusal(a.sendMessage('alice', 'sip:nobody@mcptt.example', 'x', []));
      expect(unknown).to.include({ status: 404, warning: '141 user unknown to the participating function' });
      expect(await refusal(a.sendMessage('alice', 'sip:carol@mcptt.example', 'x', []))).to.include({ status: 480 });
      const clear = [{ at: 'cms', op: 'set', path: 'protection', value: 'none' } as const];
      expect(await refusal(a.sendMessage('alice', BOB, 'x', clear))).to.include({ status: 403 });
      const unknownKey = [{ at: 'cms', op: 'set', path: 'key-id', value: 'f1234567' } as const];
      expect(await refusal(a.sendMessage('alice', BOB, 'x', unknownKey))).to.include({ status: 493 });
    });

    it('MESSAGE: a client of the receiver for which there is no key does not keep it from the others', async () => {
      const [a, b] = world.ues;
      const { bindings } = world.server.stores;
      const [bound] = await bindings.byUser(BOB);
      const keyless = { ...bound!, clientId: 'urn:uuid:00000000-0000-4000-8000-00000000b0b2' };
      await bindings.put(keyless);
      try {
        expect(await a.sendMessage('alice', BOB, 'to one of two', [])).to.deep.equal({ status: 200 });
        expect(b.clientOf('bob').inbox.at(-1)).to.include({ text: 'to one of two' });
        await bindings.delete(bound!);
        expect(await refusal(a.sendMessage('alice', BOB, 'to none', []))).to.include({ status: 480 });
      } finally {
        await bindings.delete(keyless);
        await bindings.put(bound!);
      }
    });

    it('MESSAGE: what a sender says of itself counts for nothing, its key does', async () => {
      const [a, b] = world.ues;
      const forged = [
        { at: 'mcptt-info', op: 'set', path: 'mcptt-calling-user-id', value: 'sip:carol@mcptt.example' } as const,
      ];
      await a.sendMessage('alice', BOB, 'from whom?', forged);
      expect(b.clientOf('bob').inbox.at(-1)).to.include({ from: 'sip:alice@mcptt.example', text: 'from whom?' });
    });

    it('private call: INVITE, 200, ACK, re-INVITE from both ends, BYE, with SDP inside the protected body', async () => {
      const [a, b] = world.ues;
      world.records.length = 0;
      const id = await a.calls.call(a.clientOf('alice'), BOB, []);
      expect(a.calls.list()).to.have.length(1);
      expect(a.calls.list()[0]).to.include({ state: 'established', peer: BOB, remoteDirection: 'sendrecv' });
      expect(b.calls.list()[0]).to.include({ state: 'established', peer: 'sip:alice@mcptt.example', outgoing: false });
      expect((await world.server.view()).calls).to.have.length(1);
      expect(await a.calls.reinvite(id, [])).to.deep.equal({ localDirection: 'sendonly', remoteDirection: 'recvonly' });
      await until('B has taken the re-INVITE', () => b.calls.list()[0]?.renegotiations === 1);
      const far = callIdAt(b);
      expect(await b.calls.reinvite(far, [])).to.deep.equal({
        localDirection: 'sendrecv',
        remoteDirection: 'sendrecv',
      });
      await a.calls.hangUp(id);
      await until('B has heard of the BYE', () => b.calls.list().length === 0);
      await until('the server has forgotten the call', async () => (await world.server.view()).calls.length === 0);
      const methods = startLines(world, 'ue-2', 'received').filter((line) => !line.startsWith('SIP/2.0'));
      expect(methods.map((line) => line.split(' ')[0])).to.deep.equal(['INVITE', 'ACK', 'INVITE', 'ACK', 'BYE']);
      for (const { bytes } of world.records) expect(Buffer.from(bytes).toString()).not.to.include('m=audio');
    });

    it('private call: the called end may hang up; profiles and states decide who is called at all', async () => {
      const [a, b] = world.ues;
      await a.calls.call(a.clientOf('alice'), BOB, []);
      await b.calls.hangUp(callIdAt(b));
      await until('A has heard of the BYE', () => a.calls.list().length === 0);
      await world.bind(b, 'dave');
      const warning = '107 user not authorised to make private calls';
      expect(await refusal(b.calls.call(b.clientOf('dave'), 'sip:alice@mcptt.example', []))).to.include({
        status: 403,
        warning,
      });
      expect(await refusal(a.calls.call(a.clientOf('alice'), 'sip:dave@mcptt.example', []))).to.include({
        status: 403,
        warning,
      });
      expect(await refusal(a.calls.call(a.clientOf('alice'), 'sip:carol@mcptt.example', []))).to.include({
        status: 480,
      });
      const noSuchCall = await refusal(a.calls.hangUp('no-such-call'));
      expect(noSuchCall.code).to.equal('UE_UNKNOWN_CALL');
    });

    it('several users behind one registration: each by its own key, each message to its own inbox (MULTI-1)', async () => {
      const [a, b] = world.ues;
      await Promise.all([world.bind(b, 'carol'), world.bind(a, 'dave')]);
      const keys = new Set(
        ['bob', 'carol', 'dave'].map(
          (user) => world.server.ceks.list().find((cek) => cek.userUri.includes(user))?.keyId,
        ),
      );
      expect(keys.size).to.equal(3);
      await Promise.all([
        a.sendMessage('alice', 'sip:carol@mcptt.example', 'for Carol', []),
        a.sendMessage('dave', BOB, 'for Bob', []),
        b.sendMessage('carol', BOB, 'from my neighbour', []),
      ]);
      expect(b.clientOf('carol').inbox.map(({ from, text }) => `${from} ${text}`)).to.deep.equal([
        'sip:alice@mcptt.example for Carol',
      ]);
      expect(b.clientOf('bob').inbox.map(({ text }) => text)).to.include.members(['for Bob', 'from my neighbour']);
    });

    it('keeps every message of a stream in both directions while keys change (LIFE-2)', async () => {
      const [a, b] = world.ues;
      const alice = a.clientOf('alice');
      const bob = b.clientOf('bob');
      const [seenByA, seenByB] = [alice.inbox.length, bob.inbox.length];
      const sent: Promise<unknown>[] = [];
      for (let i = 0; i < 40; i++) {
        sent.push(
          a.sendMessage('alice', BOB, `a${i}`, []),
          b.sendMessage('bob', 'sip:alice@mcptt.example', `b${i}`, []),
        );
        if (i % 4 === 0) {
          world.rekey(i % 8 === 0 ? a : b, i % 8 === 0 ? 'alice' : 'bob');
          await sent.at(-1);
        }
      }
      await Promise.all(sent);
      expect(bob.inbox.slice(seenByB).map(({ text }) => text)).to.have.members(
        Array.from({ length: 40 }, (_, i) => `a${i}`),
      );
      expect(alice.inbox.slice(seenByA).map(({ text }) => text)).to.have.members(
        Array.from({ length: 40 }, (_, i) => `b${i}`),
      );
      expect(new Set(bob.inbox.map(({ keyId }) => keyId)).size).to.be.greaterThan(3);
    });

    it('loses nothing when the old key does not open for a moment longer: what was under way is sealed anew', async () => {
      const [a, b] = world.ues;
      const alice = a.clientOf('alice');
      const bob = b.clientOf('bob');
      const [seenByA, seenByB, seenOnWire] = [alice.inbox.length, bob.inbox.length, world.records.length];
      for (let round = 0; round < 10; round++) {
        const sent = [
          a.sendMessage('alice', BOB, `short a${round}`, []),
          b.sendMessage('bob', 'sip:alice@mcptt.example', `short b${round}`, []),
        ];
        // Both requests have left under the old keys: what comes next is on its way to the server, or to the other UE.
        const [actor, direction] = round % 2 === 0 ? ['mcptt-as', 'received'] : ['sip-core', 'sent'];
        const before = world.records.length;
        await until('the requests are under way', () =>
          world.records.slice(before).some((record) => record.actor === actor && record.direction === direction),
        );
        world.rekey(a, 'alice', 0);
        world.rekey(b, 'bob', 0);
        await Promise.all(sent);
      }
      expect(bob.inbox.slice(seenByB).map(({ text }) => text)).to.have.members(
        Array.from({ length: 10 }, (_, i) => `short a${i}`),
      );
      expect(alice.inbox.slice(seenByA).map(({ text }) => text)).to.have.members(
        Array.from({ length: 10 }, (_, i) => `short b${i}`),
      );
      const retired = (actor: string): boolean =>
        world.records
          .slice(seenOnWire)
          .some(
            (one) =>
              one.actor === actor && one.direction === 'sent' && /: retired"/.test(Buffer.from(one.bytes).toString()),
          );
      expect(retired('mcptt-as') || retired('ue-1') || retired('ue-2'), 'a key was retired under a message').to.equal(
        true,
      );
    });

    it('a refused key that has no successor is a refusal', async () => {
      const [a] = world.ues;
      const { keyId } = a.clientOf('alice').sealingKey(a.sipSession);
      world.server.ceks.end({ keyId }, 'superseded');
      const running = refusal(a.sendMessage('alice', BOB, 'never', []));
      world.keysOf(a, 'alice').end({ keyId }, 'superseded');
      expect(await running).to.include({ status: 493, warning: `Undecipherable, Key ID ${keyId}: retired` });
      await a.requestKey('alice', []);
    });
  });
}

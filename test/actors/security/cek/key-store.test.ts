/** pCR 7.x.3, LIFE-1 and LIFE-2 at an endpoint: what a held CEK may do, and when it is over. */
import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { CekError } from '../../../../actors/security/cek/errors.ts';
import { nextHeldState } from '../../../../actors/security/cek/held-state.ts';
import { nextIssuedState } from '../../../../actors/security/cek/issued-state.ts';
import { keyIdOctets, keyIdOf, randomKeyId } from '../../../../actors/security/cek/key-id.ts';
import { type ArrivedCek, CekKeyStore } from '../../../../actors/security/cek/key-store.ts';
import { cekFingerprint } from '../../../../actors/security/fingerprint.ts';
import { ManualClock } from '../../../../sim/engine/clock.ts';

const ALICE = { userUri: 'sip:alice@mcptt.example', sipSession: 'sip:a@192.0.2.1' };
const HOUR = 3_600_000;

function setUp() {
  const clock = new ManualClock();
  const store = new CekKeyStore(clock);
  const cek = (keyId: string, over: Partial<ArrivedCek> = {}): ArrivedCek => ({
    keyId,
    key: randomBytes(32),
    clientId: 'urn:uuid:1',
    ...ALICE,
    notBefore: clock.now(),
    notAfter: clock.now() + HOUR,
    state: 'active',
    ...over,
  });
  return { clock, store, cek };
}

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof CekError) return error.code;
    throw error;
  }
  return 'accepted';
};

describe('state machines of a CEK', () => {
  it('at the KMS: has these transitions and no others', () => {
    const legal: Record<string, string> = {
      'pending-ack acknowledged': 'active',
      'pending-ack ended': 'ended',
      'active superseded': 'superseded',
      'active ended': 'ended',
      'superseded ended': 'ended',
    };
    for (const state of ['pending-ack', 'active', 'superseded', 'ended'] as const) {
      for (const event of ['acknowledged', 'superseded', 'ended'] as const) {
        const expected = legal[`${state} ${event}`];
        if (expected === undefined) {
          expect(codeOf(() => nextIssuedState(state, event, 'f0000001'))).to.equal('CEK_ILLEGAL_TRANSITION');
        } else expect(nextIssuedState(state, event, 'f0000001')).to.equal(expected);
      }
    }
  });

  it('at an endpoint: has these transitions and no others', () => {
    const legal: Record<string, string> = {
      'pending-ack confirmed': 'current',
      'pending-ack ended': 'retired',
      'current superseded': 'overlap',
      'current ended': 'retired',
      'overlap ended': 'retired',
    };
    for (const state of ['pending-ack', 'current', 'overlap', 'retired'] as const) {
      for (const event of ['confirmed', 'superseded', 'ended'] as const) {
        const expected = legal[`${state} ${event}`];
        if (expected === undefined) {
          expect(codeOf(() => nextHeldState(state, event, 'f0000001'))).to.equal('CEK_ILLEGAL_TRANSITION');
        } else expect(nextHeldState(state, event, 'f0000001')).to.equal(expected);
      }
    }
  });
});

describe('Key IDs', () => {
  it('are four octets with purpose tag 0xF, whatever the random octets are', () => {
    for (const octet of [0x00, 0x0f, 0xf0, 0xff]) {
      const keyId = randomKeyId(() => Buffer.alloc(4, octet));
      expect(keyIdOctets(keyId)).to.have.length(4);
      expect(keyIdOctets(keyId)[0]! >> 4).to.equal(0xf);
      expect(keyIdOf(keyIdOctets(keyId))).to.equal(keyId);
    }
  });

  it('of another form are refused', () => {
    for (const bad of ['', 'f000000', 'f00000001', '20000001', 'F0000001', 'f000000g']) {
      expect(codeOf(() => keyIdOctets(bad))).to.equal('CEK_BAD_KEY_ID');
    }
    expect(codeOf(() => keyIdOf(Buffer.from('20000001', 'hex')))).to.equal('CEK_BAD_KEY_ID');
  });
});

describe('CekKeyStore', () => {
  it('seals with the current key and opens with it', () => {
    const { store, cek } = setUp();
    const arrived = cek('f0000001');
    expect(store.take(arrived)).to.equal('taken');
    expect(store.sealing(ALICE).keyId).to.equal('f0000001');
    expect(Buffer.from(store.opening('f0000001').key)).to.deep.equal(arrived.key);
    expect(store.list()[0]).to.include({ state: 'current', messages: 2, cekFingerprint: cekFingerprint(arrived.key) });
  });

  it('takes a repeated delivery as the same, and refuses another key under the same Key ID', () => {
    const { store, cek } = setUp();
    const arrived = cek('f0000001');
    store.take(arrived);
    expect(store.take(arrived)).to.equal('held');
    expect(codeOf(() => store.take(cek('f0000001')))).to.equal('CEK_REPEATED');
    expect(codeOf(() => store.take({ ...arrived, keyId: 'f0000002' }))).to.equal('CEK_REPEATED');
    expect(store.list()).to.have.length(1);
  });

  it('CEK-1: refuses keys that are not 256 bits, or plainly fewer: of one octet, filled up, written twice', () => {
    const { store, cek } = setUp();
    const [short, zeros] = [randomBytes(16), Buffer.alloc(16)];
    for (const key of [
      short,
      randomBytes(33),
      Buffer.alloc(0),
      Buffer.alloc(32),
      Buffer.alloc(32, 0xff),
      Buffer.concat([short, zeros]),
      Buffer.concat([zeros, short]),
      Buffer.concat([short, short]),
    ]) {
      expect(codeOf(() => store.take(cek('f0000001', { key })))).to.equal('CEK_WEAK');
    }
  });

  it('LIFE-2: after a change the new key seals; the old one only opens, and only until the overlap ends', () => {
    const { clock, store, cek } = setUp();
    store.take(cek('f0000001'));
    store.take(cek('f0000002', { supersedes: { keyId: 'f0000001', notAfter: clock.now() + 5_000 } }));
    expect(store.sealing(ALICE).keyId).to.equal('f0000002');
    expect(store.opening('f0000001').state).to.equal('overlap');
    clock.advance(4_999);
    expect(store.opening('f0000001').state).to.equal('overlap');
    clock.advance(1);
    expect(codeOf(() => store.opening('f0000001'))).to.equal('CEK_RETIRED');
    expect(store.opening('f0000002').state).to.equal('current');
  });

  it('an overlap is not made longer by repeating the old key', () => {
    const { clock, store, cek } = setUp();
    const old = cek('f0000001');
    store.take(old);
    store.take(cek('f0000002', { supersedes: { keyId: 'f0000001', notAfter: clock.now() + 5_000 } }));
    expect(store.take(old)).to.equal('held');
    clock.advance(5_000);
    expect(codeOf(() => store.opening('f0000001'))).to.equal('CEK_RETIRED');
  });

  it('a key of the same session that was superseded unseen stops sealing too', () => {
    const { clock, store, cek } = setUp();
    store.take(cek('f0000001'));
    store.take(cek('f0000003', { supersedes: { keyId: 'f0000002', notAfter: clock.now() + 5_000 } }));
    expect(store.list().filter((held) => held.state === 'current')).to.have.length(1);
    expect(store.opening('f0000001').state).to.equal('overlap');
  });

  it('an older key that arrives after its successor only opens', () => {
    const { clock, store, cek } = setUp();
    const old = cek('f0000001', { notAfter: clock.now() + 5_000 });
    clock.advance(1);
    store.take(cek('f0000002'));
    store.take(old);
    expect(store.sealing(ALICE).keyId).to.equal('f0000002');
    expect(store.opening('f0000001').state).to.equal('overlap');
    clock.advance(5_000);
    expect(codeOf(() => store.opening('f0000001'))).to.equal('CEK_RETIRED');
  });

  it('an older key whose answer is late never seals, and opens no longer than the overlap that its successor came with', () => {
    const { clock, store, cek } = setUp();
    // Made in the same moment, as far as NotBefore says; and as it was before it had a successor.
    const old = cek('f0000001');
    store.take(cek('f0000002', { supersedes: { keyId: 'f0000001', notAfter: clock.now() + 5_000 } }));
    store.take(old);
    expect(store.sealing(ALICE).keyId).to.equal('f0000002');
    expect(store.opening('f0000001').state).to.equal('overlap');
    clock.advance(5_000);
    expect(codeOf(() => store.opening('f0000001'))).to.equal('CEK_RETIRED');
  });

  it('LIFE-1: a key that arrives after its end, by another connection, is not taken', () => {
    const { store, cek } = setUp();
    expect(store.end({ keyId: 'f0000001' }, 'revoked')).to.deep.equal([]);
    expect(store.take(cek('f0000001'))).to.equal('retired');
    expect(codeOf(() => store.sealing(ALICE))).to.equal('CEK_NONE');
    expect(codeOf(() => store.opening('f0000001'))).to.equal('CEK_RETIRED');
  });

  it('MULTI-1: users of one SIP session have their own keys, and one ending leaves the others', () => {
    const { store, cek } = setUp();
    const bob = { ...ALICE, userUri: 'sip:bob@mcptt.example' };
    store.take(cek('f0000001'));
    store.take(cek('f0000002', { ...bob, clientId: 'urn:uuid:2' }));
    expect(store.sealing(ALICE).keyId).to.equal('f0000001');
    expect(store.sealing(bob).keyId).to.equal('f0000002');
    expect(store.end(bob, 'logged-off')).to.deep.equal(['f0000002']);
    expect(store.sealing(ALICE).keyId).to.equal('f0000001');
    expect(codeOf(() => store.sealing(bob))).to.equal('CEK_NONE');
  });

  it('a key that the server has not acknowledged opens and does not seal; the one before it goes on', () => {
    const { clock, store, cek } = setUp();
    const next = cek('f0000002', { state: 'pending-ack' });
    store.take(next);
    expect(codeOf(() => store.sealing(ALICE))).to.equal('CEK_PENDING');
    expect(store.opening('f0000002').state).to.equal('pending-ack');
    store.take(cek('f0000001'));
    expect(store.sealing(ALICE).keyId).to.equal('f0000001');
    store.take({ ...next, state: 'active', supersedes: { keyId: 'f0000001', notAfter: clock.now() + 1_000 } });
    expect(store.sealing(ALICE).keyId).to.equal('f0000002');
  });

  it('MIME-2: unknown and retired Key IDs are told apart, and a retired key does not come back', () => {
    const { store, cek } = setUp();
    const arrived = cek('f0000001');
    store.take(arrived);
    const { key } = store.opening('f0000001');
    store.end({ sipSession: ALICE.sipSession }, 'deregistered');
    expect(codeOf(() => store.opening('f0000001'))).to.equal('CEK_RETIRED');
    expect(codeOf(() => store.opening('f0000009'))).to.equal('CEK_UNKNOWN');
    expect(store.take(arrived)).to.equal('retired');
    expect(codeOf(() => store.opening('f0000001'))).to.equal('CEK_RETIRED');
    expect(
      key.every((octet) => octet === 0),
      'the key is zeroed',
    ).to.equal(true);
    expect(
      arrived.key.every((octet) => octet === 0),
      "the caller's copy is its own",
    ).to.equal(false);
  });

  it('LIFE-1: a key ends with its lifetime, by the timer and on use', () => {
    const { clock, store, cek } = setUp();
    store.take(cek('f0000001'));
    const ended: string[] = [];
    store.onChange((change) => ended.push(`${change.keyId} ${change.state} ${change.reason}`));
    clock.advance(HOUR);
    expect(ended).to.deep.equal(['f0000001 retired expired']);
    expect(codeOf(() => store.sealing(ALICE))).to.equal('CEK_NONE');
    expect(clock.pending).to.equal(0);
  });

  it('LIFE-2: says whether another key seals in the place of one, and waits for that within a bound', async () => {
    const { clock, store, cek } = setUp();
    store.take(cek('f0000001'));
    const never = store.awaitSuccessor('f0000001', ALICE, 2_000);
    clock.advance(2_000);
    expect(await never).to.equal(false);
    const waiting = store.awaitSuccessor('f0000001', ALICE, 2_000);
    store.take(cek('f0000002', { supersedes: { keyId: 'f0000001', notAfter: clock.now() } }));
    expect(await waiting).to.equal(true);
    expect(store.list()[0], 'looking is no use of a key').to.include({ keyId: 'f0000002', messages: 0 });
    store.end(ALICE, 'deregistered');
    expect(await store.awaitSuccessor('f0000002', ALICE, 2_000)).to.equal(false);
    expect(clock.pending).to.equal(0);
  });

  it('waits for a key that is on its way, within a bound', async () => {
    const { clock, store, cek } = setUp();
    const waiting = store.awaitOpening('f0000001', 1_000);
    store.take(cek('f0000001'));
    expect((await waiting).keyId).to.equal('f0000001');
    const late = store.awaitOpening('f0000002', 1_000);
    clock.advance(1_000);
    expect(await late.catch((error: CekError) => error.code)).to.equal('CEK_UNKNOWN');
    store.close();
    expect(clock.pending).to.equal(0);
  });

  it('closing zeroes every key and leaves no timer', () => {
    const { clock, store, cek } = setUp();
    store.take(cek('f0000001'));
    const { key } = store.opening('f0000001');
    store.close();
    expect(key.every((octet) => octet === 0)).to.equal(true);
    expect(clock.pending).to.equal(0);
  });
});

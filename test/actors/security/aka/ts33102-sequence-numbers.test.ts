import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Auc } from '../../../../actors/security/aka/auc.ts';
import { type AucStore, fileAucStore, memoryAucStore } from '../../../../actors/security/aka/auc-store.ts';
import { DELTA, SequenceArray } from '../../../../actors/security/aka/sequence-array.ts';
import { readSqn, writeSqn } from '../../../../actors/security/aka/sqn.ts';
import { openAuts } from '../../../../actors/security/aka/vector.ts';
import { milenage, xor } from '../../../../actors/security/milenage.ts';
import { Usim } from '../../../../actors/ue/usim.ts';

const card = {
  imsi: '001010000000001',
  impi: 'ue@test',
  impus: ['sip:ue@test'],
  k: '465b5ce8b199b49faa5f0a2ee238a6bc',
  opc: 'cd63cb71954a9f4e48a5994e37a02baf',
};
const keys = { ...card, amf: '8000', sqn: '000000000000' };
const functions = milenage(Buffer.from(card.k, 'hex'), Buffer.from(card.opc, 'hex'));
const auc = (indParity: 'even' | 'odd', store: AucStore = memoryAucStore(), sqn = keys.sqn): Auc =>
  new Auc({ keysOf: (id) => (id === 'ue' ? { ...keys, sqn } : undefined), store, indParity });
const sqnIn = (vector: { rand: Uint8Array; autn: Uint8Array }) =>
  readSqn(xor(vector.autn.subarray(0, 6), functions.f2345(vector.rand).ak));

describe('TS 33.102 annex C: sequence numbers', () => {
  it('SQN is SEQ || IND with five bits of IND (C.1.1.1)', () => {
    expect(readSqn(Buffer.from('00000000003f', 'hex'))).to.deep.equal({ seq: 1, ind: 31 });
    expect(Buffer.from(writeSqn({ seq: 2 ** 43 - 1, ind: 31 })).toString('hex')).to.equal('ffffffffffff');
    expect(() => writeSqn({ seq: 2 ** 43, ind: 0 })).to.throw(RangeError);
  });

  it('each IND has a SEQ of its own; the same or an older one is refused (C.2.1)', () => {
    const array = new SequenceArray();
    expect(array.accept(writeSqn({ seq: 5, ind: 2 }))).to.equal(true);
    expect(array.accept(writeSqn({ seq: 5, ind: 2 }))).to.equal(false);
    expect(array.accept(writeSqn({ seq: 4, ind: 2 }))).to.equal(false);
    expect(array.accept(writeSqn({ seq: 4, ind: 3 }))).to.equal(true);
    expect(readSqn(array.sqnMs)).to.deep.equal({ seq: 5, ind: 2 });
    expect(new SequenceArray(array.save()).accept(writeSqn({ seq: 5, ind: 2 }))).to.equal(false);
  });

  it('a jump beyond delta is refused and changes nothing (C.2.1)', () => {
    const array = new SequenceArray();
    expect(array.accept(writeSqn({ seq: DELTA + 1, ind: 0 }))).to.equal(false);
    expect(array.accept(writeSqn({ seq: DELTA, ind: 0 }))).to.equal(true);
  });

  it('the two domains count in halves of IND that never meet', async () => {
    const [eps, ims] = [auc('even'), auc('odd')];
    const inds = { eps: new Set<number>(), ims: new Set<number>() };
    for (let i = 0; i < 40; i++) {
      inds.eps.add(sqnIn(await eps.vector('ue')).ind);
      inds.ims.add(sqnIn(await ims.vector('ue')).ind);
    }
    expect([...inds.eps].sort((a, b) => a - b)).to.deep.equal(Array.from({ length: 16 }, (_, i) => 2 * i));
    expect([...inds.ims].sort((a, b) => a - b)).to.deep.equal(Array.from({ length: 16 }, (_, i) => 2 * i + 1));
  });

  it('one USIM takes vectors of both domains in any interleaving', async () => {
    const usim = new Usim(card);
    const [eps, ims] = [auc('even'), auc('odd')];
    for (const from of [eps, eps, eps, ims, eps, ims, ims]) {
      const { rand, autn, xres } = await from.vector('ue');
      const answer = usim.authenticate(rand, autn);
      expect(answer.outcome).to.equal('success');
      if (answer.outcome === 'success') expect(answer.res).to.deep.equal(xres);
    }
  });

  it('vectors that were fetched together may be used in another order', async () => {
    const usim = new Usim(card);
    const centre = auc('odd');
    const [first, second] = [await centre.vector('ue'), await centre.vector('ue')];
    expect(usim.authenticate(second.rand, second.autn).outcome).to.equal('success');
    expect(usim.authenticate(first.rand, first.autn).outcome).to.equal('success');
    expect(usim.authenticate(first.rand, first.autn).outcome).to.equal('synch-failure');
  });
});

describe('TS 33.102 6.3.3 and 6.3.5: MAC failure and resynchronisation', () => {
  it('a vector of another K is a MAC failure, whatever its SQN', async () => {
    const usim = new Usim({ ...card, k: randomBytes(16).toString('hex') });
    const { rand, autn } = await auc('even').vector('ue');
    expect(usim.authenticate(rand, autn)).to.deep.equal({ outcome: 'mac-failure' });
  });

  for (const [name, sqn] of [
    ['behind the USIM', '000000000000'],
    ['further ahead than delta', 'ffff00000000'],
  ] as const) {
    it(`an AuC that is ${name} goes on after AUTS`, async () => {
      const usim = new Usim(card);
      const good = auc('odd', memoryAucStore(), '000000001000');
      const first = await good.vector('ue');
      expect(usim.authenticate(first.rand, first.autn).outcome).to.equal('success');

      const centre = auc('odd', memoryAucStore(), sqn);
      await centre.setSqn('ue', Buffer.from(sqn, 'hex'));
      let stale = await centre.vector('ue');
      // IND has moved on with the AuC's round; bring it to the entry that the first vector used.
      while (sqnIn(stale).ind !== sqnIn(first).ind) stale = await centre.vector('ue');
      const answer = usim.authenticate(stale.rand, stale.autn);
      expect(answer.outcome).to.equal('synch-failure');
      if (answer.outcome !== 'synch-failure') return;
      expect(readSqn(openAuts(functions, stale.rand, answer.auts)!).seq).to.equal(sqnIn(first).seq);
      expect(await centre.resynchronise('ue', stale.rand, answer.auts)).to.equal(true);
      const next = await centre.vector('ue');
      expect(sqnIn(next).seq).to.equal(sqnIn(first).seq + 1);
      expect(usim.authenticate(next.rand, next.autn).outcome).to.equal('success');
    });
  }

  it('AUTS that was changed, or made for another RAND, moves nothing', async () => {
    const store = memoryAucStore();
    const centre = auc('odd', store);
    const { rand } = await centre.vector('ue');
    const auts = Buffer.concat([randomBytes(14)]);
    expect(await centre.resynchronise('ue', rand, auts)).to.equal(false);
    expect(await centre.resynchronise('ue', rand, auts.subarray(1))).to.equal(false);
    expect(sqnIn(await centre.vector('ue')).seq).to.equal(2);
  });

  it('an unknown subscriber is named', async () => {
    const error = await auc('odd')
      .vector('nobody')
      .then(
        () => undefined,
        (reason: unknown) => reason,
      );
    expect(error).to.include({ code: 'AUC_UNKNOWN_SUBSCRIBER' });
    expect(String(error)).to.contain('nobody');
  });
});

describe('AuC store in a file', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'auc-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('an AuC that starts again goes on where it stopped', async () => {
    const file = join(folder, 'state', 'sqn.json');
    const before = sqnIn(await auc('odd', fileAucStore(file)).vector('ue'));
    const after = sqnIn(await auc('odd', fileAucStore(file)).vector('ue'));
    expect(after.seq).to.equal(before.seq + 1);
  });

  it('vectors asked for at once never share an SQN', async () => {
    const centre = auc('even', fileAucStore(join(folder, 'sqn.json')));
    const numbers = await Promise.all(Array.from({ length: 20 }, async () => sqnIn(await centre.vector('ue')).seq));
    expect(new Set(numbers).size).to.equal(20);
  });
});

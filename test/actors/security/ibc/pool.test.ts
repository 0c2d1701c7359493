import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import { createArithmetic } from '../../../../actors/security/ibc/backend.ts';
import { LocalSakkeEngine } from '../../../../actors/security/ibc/engine.ts';
import { IbcError } from '../../../../actors/security/ibc/errors.ts';
import { toHex, toOctets, xor } from '../../../../actors/security/ibc/octets.ts';
import { IbcPool } from '../../../../actors/security/ibc/pool.ts';
import { hashToIntegerRange } from '../../../../actors/security/ibc/sakke.ts';
import { vector } from './vectors.ts';

const appendix = vector('RFC6508 Appendix A');
const zT = appendix.hex('z_T');
const ZT = appendix.hex('Z_T');
const b = appendix.hex('b');
const rsk = appendix.hex('K_bT');
const ssv = appendix.hex('SSV');
const sed = appendix.hex('SED');

const codeOf = async (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => (error instanceof IbcError ? error.code : String(error)),
  );

describe('Worker pool for SAKKE', () => {
  let pool: IbcPool;
  before(async () => {
    pool = await IbcPool.start({ size: 2, startTimeout: 60_000 });
  }).timeout(70_000);
  after(() => pool.close());

  it('does in threads what the engine does in this one', async () => {
    expect(toHex(await pool.encapsulate(ZT, b, ssv))).to.equal(appendix.text('SED'));
    expect(toHex(await pool.extractRsk(zT, b))).to.equal(appendix.text('K_bT'));
    expect(await pool.validatePublicKey(ZT)).to.equal(true);
    expect(await pool.validateRsk(ZT, b, rsk)).to.equal(true);
    expect(await pool.validateRsk(ZT, b, ZT)).to.equal(false);
    await pool.prepare(rsk);
    expect(toHex((await pool.decapsulate(ZT, b, rsk, sed)).ssv)).to.equal(appendix.text('SSV'));
    await pool.forget(rsk);
    expect(toHex((await pool.decapsulate(ZT, b, rsk, sed)).ssv)).to.equal(appendix.text('SSV'));
  });

  it('names the backend that its workers run', async () => {
    const here = createArithmetic();
    expect(pool.backend).to.equal(here.name);
    here.dispose();
  });

  it('takes many tasks at once and answers each with its own result', async () => {
    const secrets = Array.from({ length: 24 }, (_, index) => ssv.map((octet) => octet ^ index));
    const sealed = await Promise.all(secrets.map((secret) => pool.encapsulate(ZT, b, secret)));
    const opened = await Promise.all(sealed.map((octets) => pool.decapsulate(ZT, b, rsk, octets)));
    expect(opened.map(({ ssv: secret }) => toHex(secret))).to.deep.equal(secrets.map(toHex));
  });

  it('leaves the caller’s arguments as they were', async () => {
    const mine = rsk.slice();
    await pool.decapsulate(ZT, b, mine, sed);
    expect(toHex(mine)).to.equal(toHex(rsk));
  });

  it('errors keep their codes', async () => {
    const changed = sed.slice();
    changed[272]! ^= 1;
    expect(await codeOf(pool.decapsulate(ZT, b, rsk, changed))).to.equal('sakke-test-failed');
    expect(await codeOf(pool.encapsulate(ZT, b, ssv.subarray(1)))).to.equal('bad-length');
    expect(await codeOf(pool.encapsulate(ZT.subarray(1), b, ssv))).to.equal('bad-point');
  });

  it('counts what opened only with the stripped mask, as the engine does', async () => {
    const edge = vector('edge: g^r has a leading zero octet');
    const full = toOctets(hashToIntegerRange(edge.hex('g_pow_r'), 2n ** 128n), 16);
    const stripped = toOctets(hashToIntegerRange(edge.hex('g_pow_r').slice(1), 2n ** 128n), 16);
    const vendors = edge.hex('SED');
    vendors.set(xor(xor(vendors.subarray(257), full), stripped), 257);
    const engine = new LocalSakkeEngine(createArithmetic());
    for (const each of [pool, engine]) {
      const before = each.strippedMasks;
      expect((await each.decapsulate(ZT, b, rsk, vendors)).maskForm).to.equal('stripped');
      await each.decapsulate(ZT, b, rsk, sed);
      expect(each.strippedMasks - before).to.equal(1);
    }
    await engine.close();
  });

  it('the event loop runs on while the workers compute', async () => {
    let turns = 0;
    let done = false;
    const turn = () => {
      turns++;
      if (!done) globalThis.setImmediate(turn);
    };
    globalThis.setImmediate(turn);
    // In this thread not one turn would come to pass; on a loaded machine a round may be over before this thread is on again.
    for (let round = 0; turns <= 20 && round < 100; round++) {
      await Promise.all(Array.from({ length: 8 }, () => pool.encapsulate(ZT, b, ssv)));
    }
    done = true;
    expect(turns).to.be.greaterThan(20);
  });

  it('a worker that hangs or dies takes only its own tasks with it, and another takes its place', async () => {
    const small = await IbcPool.start({ size: 1, taskTimeout: 1, startTimeout: 60_000 });
    try {
      expect(await codeOf(small.validateRsk(ZT, b, rsk))).to.equal('pool-worker-died');
      expect(small.size).to.equal(1);
    } finally {
      await small.close();
    }
  }).timeout(70_000);

  it('when the successor of a worker does not start either, the next task gets another', async () => {
    const options = { size: 1, taskTimeout: 1, startTimeout: 60_000 };
    const small = await IbcPool.start(options);
    try {
      options.startTimeout = 1;
      expect(await codeOf(small.validateRsk(ZT, b, rsk))).to.equal('pool-worker-died');
      while (small.size > 0) await setImmediate();
      Object.assign(options, { taskTimeout: 60_000, startTimeout: 60_000 });
      expect(toHex(await small.encapsulate(ZT, b, ssv))).to.equal(appendix.text('SED'));
      expect(small.size).to.equal(1);
    } finally {
      await small.close();
    }
  }).timeout(120_000);

  it('a worker that does not start in time is said so', async () => {
    expect(await codeOf(IbcPool.start({ size: 1, startTimeout: 1 }))).to.equal('pool-worker-died');
  });

  it('a closed pool takes no task', async () => {
    const closed = await IbcPool.start({ size: 1, startTimeout: 60_000 });
    await closed.close();
    await closed.close();
    expect(await codeOf(closed.prepare(rsk))).to.equal('pool-closed');
  }).timeout(70_000);
});

/** LIFE-1 (pCR 7.x.3): the KMS hears of an end even when it was away for long. */
import { expect } from 'chai';
import { memoryBindingStore } from '../../../actors/mcptt-as/bindings.ts';
import { Life } from '../../../actors/mcptt-as/life.ts';
import { memorySessionStore } from '../../../actors/mcptt-as/sessions.ts';
import { CekKeyStore } from '../../../actors/security/cek/key-store.ts';
import { ManualClock } from '../../../sim/engine/clock.ts';
import { quiet } from './world.ts';

const SESSION = 'sip:a@ue';
const MINUTE = 60_000;

async function endedWhileKmsIsAway(comesBackAfter: number) {
  const clock = new ManualClock();
  const sessions = memorySessionStore();
  const backAt = clock.now() + comesBackAfter;
  const told: { at: number; ok: boolean; reason: string }[] = [];
  const life = new Life({
    sessions,
    bindings: memoryBindingStore(),
    ceks: () => new CekKeyStore(clock),
    clock,
    log: quiet,
    tellKms: ({ reason }) => {
      const ok = clock.now() >= backAt;
      told.push({ at: clock.now(), ok, reason });
      return ok ? Promise.resolve() : Promise.reject(new Error('the KMS is away'));
    },
    tokenExpiryEndsBinding: () => true,
    onUnbound: () => undefined,
  });
  await life.registered({ sipSession: SESSION, impus: ['sip:ue-1@home'], expiresAt: clock.now() + 100 * MINUTE });
  await life.sessionEnded(SESSION, 'deregistered');
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 1_000) await clock.advanceAsync(Math.min(left, 1_000));
  };
  return { life, told, pass, clock };
}

describe('telling the KMS that a CEK has ended', () => {
  it('goes on until the KMS has heard, and then stops', async () => {
    const { life, told, pass } = await endedWhileKmsIsAway(10 * MINUTE);
    await pass(12 * MINUTE);
    expect(told.at(-1)).to.include({ ok: true, reason: 'deregistered' });
    expect(told.filter(({ ok }) => ok)).to.have.length(1);
    expect(told.length).to.be.within(15, 30);
    life.stop();
  });

  it('ends with the server', async () => {
    const { life, told, pass } = await endedWhileKmsIsAway(60 * MINUTE);
    await pass(MINUTE);
    life.stop();
    const before = told.length;
    await pass(5 * MINUTE);
    expect(told.length).to.equal(before);
  });
});

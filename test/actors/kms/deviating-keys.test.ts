/** What the KMS gives wrong on purpose: well formed, for the one receiver named, and right again afterwards. */
import { expect } from 'chai';
import type { KmsKeySet } from '../../../actors/messages/kms/key-material.ts';
import type { JsonObject } from '../../../sim/control/actor.ts';
import { ALICE, BOB, createSetting, post, type RunningKms, type Setting, startKms } from './harness.ts';

describe('the KMS, wrong on purpose', () => {
  let setting: Setting;
  let running: RunningKms;

  before(async () => {
    setting = await createSetting();
    running = await startKms(setting);
  });

  after(async () => {
    await running.kms.stop();
    await setting.stop();
  });

  const keySetOf = async (userUri: string): Promise<KmsKeySet> => {
    const token = await setting.idm.sign(setting.idm.claims(Date.now(), { mcptt_id: userUri }));
    const url = `${running.url}/keymanagement/identity/v1/keyprov`;
    const { response } = await post(setting.asUe, url, { token, request: { userUri } });
    if (response.message?.type !== 'key-prov') return expect.fail('no KmsKeyProv');
    return response.message.keySets[0]!;
  };
  const deviate = async (to: string, ...deviations: JsonObject[]): Promise<unknown> =>
    running.kms.verbs.deviate!({ to, deviate: deviations });
  const set = (path: string): JsonObject => ({ at: 'kms-response', op: 'set', path, value: BOB });

  it('puts another identity’s RSK or SSK into one user’s key set, and leaves the rest of it', async () => {
    const [alice, bob] = [await keySetOf(ALICE), await keySetOf(BOB)];
    await deviate(ALICE, set('rsk'));
    expect(await keySetOf(ALICE)).to.deep.equal({ ...alice, userDecryptKey: bob.userDecryptKey });
    await deviate(ALICE, set('ssk'));
    expect(await keySetOf(ALICE)).to.deep.equal({ ...alice, userSigningKeySsk: bob.userSigningKeySsk });
    expect(await keySetOf(BOB)).to.deep.equal(bob);
    await deviate(ALICE);
    expect(await keySetOf(ALICE)).to.deep.equal(alice);
  });

  it('is right again when policy is reset', async () => {
    const alice = await keySetOf(ALICE);
    await deviate(ALICE, set('rsk'));
    await running.kms.verbs.resetPolicy!({});
    expect(await keySetOf(ALICE)).to.deep.equal(alice);
  });

  it('names what is wrong with a deviation', async () => {
    const error = await deviate(ALICE, { at: 'nowhere', op: 'set', path: 'rsk' }).catch((cause: unknown) => cause);
    expect(error).to.have.property('code', 'DEVIATION_INVALID');
  });
});

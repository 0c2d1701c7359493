import { expect } from 'chai';
import type { Step } from '../../sim/scenario/scenario.ts';
import { summary } from '../../sim/trace/describe.ts';

/**
 * Step 0: the UE attaches (TS 33.401 6.1, TS 24.301 5.5.1).
 *
 * ```
 * UE                                            access network
 *  ├── Attach request (IMSI) ─────────────────────▶│
 *  │◀──────────── Authentication request (RAND, AUTN)  AUTN checked, SQN in range
 *  ├── Authentication response (RES) ─────────────▶│   K_ASME on both sides
 *  │◀───────── Security mode command (128-EIA2 MAC)│   right only under the same K_ASME
 *  ├── Security mode complete (MAC) ──────────────▶│
 *  │◀──────── Attach accept (address, SIP core)    │
 *  ├── Attach complete ───────────────────────────▶│
 * ```
 */
export const step0 = (ue = 'ue'): Step => ({
  number: '0',
  title: 'UE attaches: EPS AKA both ways, security set up, address and SIP core learnt',
  clause: 'TS 33.401 6.1',
  responsible: 'access-network',
  guard: 10_000,
  run: async (t) => {
    await t.actor(ue).do('attach');
    const seen = t.records({ interface: 'LTE', actor: ue }).map((record) => summary(t.about(record)).split(',', 1)[0]!);
    const inOrder = [
      'Attach request',
      'Authentication request',
      'Authentication response',
      'Security mode command',
      'Security mode complete',
      'Attach accept',
      'Attach complete',
    ];
    expect(
      seen.filter((name) => inOrder.includes(name)).slice(-6),
      'NAS messages after the attach request',
    ).to.deep.equal(inOrder.slice(1));
    for (const record of t.records({ interface: 'LTE', actor: ue })) {
      if (/Security mode|Attach accept|Attach complete/.test(summary(record))) {
        expect(summary(t.about(record))).to.match(/integrity protected$/);
      }
    }
    const attach = await t
      .actor(ue)
      .read<{ pdnAddress: string; sipCore: string; kasmeFingerprint: string; imsi: string }>('attach');
    expect(attach.pdnAddress, 'PDN address given to the UE').to.match(/^\d+\.\d+\.\d+\.\d+$/);
    expect(attach.sipCore, 'SIP core address given to the UE').to.match(/^wss:\/\//);
    t.show('PDN address', attach.pdnAddress);
    t.show('SIP core', attach.sipCore);
    t.show('K_ASME', `equal on both sides (fingerprint ${attach.kasmeFingerprint})`);
  },
});

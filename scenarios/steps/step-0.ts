import { isIPv4 } from 'node:net';
import { expect } from 'chai';
import type { Step, StepContext } from '../../sim/scenario/scenario.ts';
import { summary } from '../../sim/trace/describe.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';
import { attempt } from '../checks/attempt.ts';
import { capability, challenge, mac, plain, res, securityHeader, securityMode } from '../checks/nas.ts';
import { expectGenuine, expectNasMac, expectRes } from '../checks/provisioned.ts';

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
    const attaching = await attempt(t, t.actor(ue).do('attach'));
    const nas = t.records({ interface: 'LTE', actor: ue });
    const nameOf = (record: MessageRecord): string => summary(record).split(',', 1)[0]!;
    const last = (name: string): MessageRecord | undefined => nas.findLast((record) => nameOf(record) === name);
    const present = ORDER.map(last).filter((record) => record !== undefined);

    const { imsi } = await t.actor(ue).read<{ imsi: string }>('attach');
    const request = last('Authentication request');
    if (request !== undefined) {
      t.hold('access-network', 'TS 33.401 6.1.1');
      const { rand, autn } = challenge(t.about(request));
      expect([rand.length, autn.length], 'octets of RAND and AUTN').to.deep.equal([16, 16]);
      expect(autn[6]! >> 7, 'separation bit of the AMF in AUTN').to.equal(1);
      if (attaching.failed) expectGenuine(t, imsi, { rand, autn });
    }
    const response = last('Authentication response');
    if (response !== undefined) {
      t.hold('ue', 'TS 33.401 6.1.1');
      expect(res(t.about(response)).length, 'octets of RES').to.be.within(4, 16);
      if (attaching.failed && request !== undefined) expectRes(t, imsi, challenge(request).rand, res(response));
    }
    const command = last('Security mode command');
    if (command !== undefined) {
      t.hold('access-network', 'TS 33.401 7.2.4.4');
      const { eia, replayed } = securityMode(t.about(command));
      expect(securityHeader(command), 'security header of the Security mode command').to.equal(3);
      expect(eia, 'integrity algorithm: EIA0 is for emergency calls only').to.be.greaterThan(0);
      expect(replayed, 'UE security capability, replayed').to.equal(
        capability(last('Attach request')!).slice(0, replayed.length),
      );
    }
    const rands = t.records(
      { interface: 'LTE', actor: ue, where: (r) => nameOf(r) === 'Authentication request' },
      'all',
    );
    t.hold('access-network', 'TS 33.102 6.3.2');
    expect(
      new Set(rands.map((r) => challenge(r).rand.toString('hex'))).size,
      'different RANDs, in as many challenges',
    ).to.equal(rands.length);
    // The MACs of a failed attach tell which of the two had another K_ASME than the subscriber's.
    let commanded = false;
    for (const record of present.slice(ORDER.indexOf('Security mode command'))) {
      const [sender, direction] =
        record.direction === 'sent' ? (['ue', 'uplink'] as const) : (['access-network', 'downlink'] as const);
      t.hold(sender, 'TS 24.301 4.4.4');
      expect(summary(t.about(record))).to.match(/integrity protected$/);
      expect(mac(record), 'MAC').not.to.equal('00000000');
      if (attaching.failed && command !== undefined && securityMode(command).eia === EIA2)
        commanded = expectNasMac(t, imsi, challenge(request!), record.bytes, direction);
    }

    const rejected = nas.some((r) => r.direction === 'sent' && nameOf(r).startsWith('Security mode reject'));
    t.hold(commanded && rejected ? 'ue' : 'access-network', 'TS 33.401 6.1');
    attaching.outcome();
    expect(present.map(nameOf), 'NAS messages').to.deep.equal(ORDER);
    expect(nas.slice(-ORDER.length + 1).map(nameOf), 'NAS messages after the attach request').to.deep.equal(
      ORDER.slice(1),
    );
    const attach = await t.actor(ue).read<{ pdnAddress: string; sipCore: string; kasmeFingerprint: string }>('attach');
    t.hold('access-network', 'TS 24.301 5.5.1.2.4');
    const accept = plain(t.about(last('Attach accept')!)).toString('latin1');
    expect(attach.pdnAddress, 'PDN address given to the UE').to.match(/^\d+\.\d+\.\d+\.\d+$/);
    expect(attach.pdnAddress, 'PDN address, which is not left to DHCP (TS 24.301 9.9.4.9)').not.to.equal('0.0.0.0');
    expect(attach.sipCore, 'SIP core address given to the UE').to.match(/^wss:\/\//);
    expect(accept, 'Attach accept').to.include(attach.sipCore);
    await expectToldOf(t, attach.sipCore, accept);
    t.show('PDN address', attach.pdnAddress);
    t.show('SIP core', attach.sipCore);
    t.show('K_ASME', `equal on both sides (fingerprint ${attach.kasmeFingerprint})`);
  },
});

/** Asserts that the SIP core whose URL and P-CSCF address the UE has got is where the SIP core says it is. */
async function expectToldOf(t: StepContext, url: string, accept: string): Promise<void> {
  const { wss } = await t.actor('sip-core').read<{ wss?: string }>('endpoints');
  if (wss === undefined) return;
  expect(new URL(url).href, 'SIP core address given to the UE, against the core’s own').to.equal(new URL(wss).href);
  const { hostname } = new URL(wss);
  // P-CSCF IPv4 Address Request in the protocol configuration options: container 000CH, 4 octets (TS 24.008 10.5.6.3).
  const container = `\x00\x0c\x04${String.fromCharCode(...hostname.split('.').map(Number))}`;
  if (isIPv4(hostname))
    expect(accept.includes(container), `P-CSCF address ${hostname} in the Attach accept`).to.equal(true);
}

/** 128-EIA2 among the integrity algorithms (TS 24.301 9.9.3.23). */
const EIA2 = 2;

const ORDER = [
  'Attach request',
  'Authentication request',
  'Authentication response',
  'Security mode command',
  'Security mode complete',
  'Attach accept',
  'Attach complete',
];

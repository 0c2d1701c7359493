import { randomBytes } from 'node:crypto';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';
import { decodeEmm, type EmmMessage, encodeEmm } from '../../../../actors/messages/nas/emm.ts';
import {
  decodeActivateDefaultBearer,
  encodeActivateDefaultBearer,
  encodePdnConnectivityRequest,
} from '../../../../actors/messages/nas/esm.ts';
import { decodeIdentity, encodeIdentity } from '../../../../actors/messages/nas/identity.ts';
import { NasLink } from '../../../../actors/messages/nas/link.ts';
import { NasError } from '../../../../actors/messages/nas/octets.ts';
import { isProtected, NasSecurity } from '../../../../actors/messages/nas/security.ts';
import { systemClock } from '../../../../sim/engine/clock.ts';

const octets = (hex: string): Uint8Array => Buffer.from(hex, 'hex');
const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex');
const plmn = octets('00f110');

describe('TS 24.301: plain NAS messages', () => {
  const guti = octets('00f110800101c0ffee00');
  const messages: [EmmMessage, string?][] = [
    [
      {
        type: 'attach-request',
        identity: { kind: 'imsi', imsi: '001010000000001' },
        capability: octets('8020'),
        esm: encodePdnConnectivityRequest(plmn),
      },
    ],
    [{ type: 'attach-accept', taiList: octets('0000f1100001'), guti, esm: octets('5201c1') }],
    [{ type: 'attach-complete', esm: octets('5200c2') }, '074300035200c2'],
    [{ type: 'attach-reject', cause: 8 }, '074408'],
    [{ type: 'authentication-request', ksi: 0, rand: randomBytes(16), autn: randomBytes(16) }],
    [{ type: 'authentication-response', res: octets('a54211d5e3ba50bf') }, '075308a54211d5e3ba50bf'],
    [{ type: 'authentication-failure', cause: 20 }, '075c14'],
    [{ type: 'authentication-failure', cause: 21, auts: octets('00'.repeat(14)) }, `075c15300e${'00'.repeat(14)}`],
    [{ type: 'authentication-reject' }, '0754'],
    [{ type: 'security-mode-command', ksi: 0, capability: octets('8020') }, '075d0200028020'],
    [{ type: 'security-mode-complete' }, '075e'],
    [{ type: 'security-mode-reject', cause: 23 }, '075f17'],
    [{ type: 'detach-request', identity: { kind: 'guti', guti }, switchOff: true }, '0745790bf600f110800101c0ffee00'],
    [{ type: 'network-detach-request', reattach: false }, '074502'],
    [{ type: 'detach-accept' }, '0746'],
  ];

  for (const [message, encoded] of messages) {
    it(`${message.type}${'cause' in message ? ` #${message.cause}` : ''} comes back as it was`, () => {
      const pdu = encodeEmm(message);
      if (encoded !== undefined) expect(hex(pdu)).to.equal(encoded);
      const direction = message.type === 'network-detach-request' ? 'downlink' : 'uplink';
      const back = decodeEmm(pdu, direction);
      expect(JSON.stringify(plain(back))).to.equal(JSON.stringify(plain(message)));
    });
  }

  it('every PDU that is cut short is malformed', () => {
    for (const [message] of messages) {
      const pdu = encodeEmm(message);
      const direction = message.type === 'network-detach-request' ? 'downlink' : 'uplink';
      const shortest =
        { 'attach-accept': pdu.length, 'authentication-failure': 3 }[message.type as string] ?? pdu.length;
      for (let length = 0; length < shortest; length++) {
        expect(() => decodeEmm(pdu.subarray(0, length), direction), `${message.type} ${length}`).to.throw(NasError);
      }
    }
  });

  it('any octets are decoded or malformed, never another error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.integer({ min: 0x41, max: 0x60 }), (rest, type) => {
        try {
          decodeEmm(Buffer.concat([Uint8Array.of(7, type), rest]), 'uplink');
          decodeActivateDefaultBearer(rest);
        } catch (error) {
          return error instanceof NasError && error.code === 'NAS_MALFORMED';
        }
        return true;
      }),
    );
  });

  it('IMSIs of 14 and 15 digits (9.9.3.12)', () => {
    expect(hex(encodeIdentity({ kind: 'imsi', imsi: '001010000000001' }))).to.equal('0910100000000010');
    expect(hex(encodeIdentity({ kind: 'imsi', imsi: '00101000000001' }))).to.equal('01101000000000f1');
    for (const imsi of ['001010000000001', '00101000000001', '999999999999999']) {
      expect(decodeIdentity(encodeIdentity({ kind: 'imsi', imsi }))).to.deep.equal({ kind: 'imsi', imsi });
    }
    expect(() => decodeIdentity(octets('0910100000000a10'))).to.throw(NasError, 'no digit');
    expect(() => decodeIdentity(octets('03101010'))).to.throw(NasError, 'type 3');
  });

  it('the bearer carries address, APN, P-CSCF and the SIP core’s URL (TS 24.008 10.5.6.3)', () => {
    const grant = {
      pdnAddress: '10.45.0.7',
      apn: 'ims.mnc001',
      pCscfAddress: '192.0.2.1',
      sipCoreUrl: 'wss://sip-core.example:7443/',
    };
    expect(decodeActivateDefaultBearer(encodeActivateDefaultBearer(grant, plmn))).to.deep.equal(grant);
    expect(() => encodeActivateDefaultBearer({ ...grant, pdnAddress: '::1' }, plmn)).to.throw(NasError, '::1');
  });
});

const plain = (message: EmmMessage): unknown =>
  JSON.parse(
    JSON.stringify(message, (_key, value: unknown) =>
      value instanceof Uint8Array || (typeof value === 'object' && value !== null && 'data' in value)
        ? hex(Buffer.from(value as Uint8Array))
        : value,
    ),
  );

describe('TS 24.301 4.4.3: security protected NAS messages', () => {
  const kasme = randomBytes(32);
  const pair = (): [NasSecurity, NasSecurity] => [new NasSecurity(kasme, 'uplink'), new NasSecurity(kasme, 'downlink')];

  it('opens what the other end protects, over the change of the count’s high part', () => {
    const [ue, network] = pair();
    for (let i = 0; i < 600; i++) {
      const pdu = ue.protect(octets('075e'), 'integrity-ciphered');
      expect(isProtected(pdu)).to.equal(true);
      expect(hex(network.open(pdu))).to.equal('075e');
    }
  });

  it('refuses replays, changed octets, the other direction and another key', () => {
    const [ue, network] = pair();
    const first = ue.protect(octets('075e'), 'integrity-ciphered-new-context');
    network.open(first);
    const wrong = { code: 'NAS_INTEGRITY' };
    const attempt = (pdu: Uint8Array): unknown => {
      try {
        return network.open(pdu);
      } catch (error) {
        return error;
      }
    };
    expect(attempt(first)).to.include(wrong);
    const second = ue.protect(octets('0746'), 'integrity-ciphered');
    for (let i = 1; i < second.length; i++) {
      const changed = Uint8Array.from(second);
      changed[i]! ^= 1;
      expect(attempt(changed), `octet ${i}`).to.include(wrong);
    }
    expect(attempt(new NasSecurity(kasme, 'downlink').protect(octets('0746'), 'integrity-ciphered'))).to.include(wrong);
    expect(
      attempt(new NasSecurity(randomBytes(32), 'uplink').protect(octets('0746'), 'integrity-ciphered')),
    ).to.include(wrong);
    expect(hex(network.open(second))).to.equal('0746');
    expect(attempt(octets('27'))).to.include({ code: 'NAS_MALFORMED' });
    expect(isProtected(octets('075e'))).to.equal(false);
  });
});

describe('NAS over TCP', () => {
  it('cuts the stream where the lengths say, however it arrives', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const accepted = new Promise<NasLink>((resolve) =>
      server.once('connection', (socket) => resolve(new NasLink(socket, { timers: systemClock, onPdu: () => {} }))),
    );
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const link = await accepted;
    const pdus = [octets('0754'), randomBytes(300), new Uint8Array(), octets('0746')];
    const stream = Buffer.concat(
      pdus.map((pdu) => Buffer.concat([Uint8Array.of(pdu.length >> 8, pdu.length & 255), pdu])),
    );
    socket.setNoDelay(true);
    let at = 0;
    for (const end of [1, 5, 100, stream.length]) {
      socket.write(stream.subarray(at, end));
      at = end;
    }
    for (const pdu of pdus) expect(hex(await link.receive({ ms: 1000, what: 'PDU' }))).to.equal(hex(pdu));
    const late = await link.receive({ ms: 5, what: 'Attach complete' }).catch((error: unknown) => error);
    expect(late).to.include({ code: 'NAS_TIMEOUT' });
    expect(String(late)).to.contain('Attach complete');
    socket.destroy();
    expect(await link.receive().catch((error: unknown) => error)).to.include({ code: 'NAS_CONNECTION_LOST' });
    link.close();
    await new Promise((resolve) => server.close(resolve));
  });
});

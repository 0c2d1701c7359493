import { expect } from 'chai';
import type { Step } from '../../sim/scenario/scenario.ts';
import { expectSecret, type Secret } from '../checks/secrecy.ts';
import { body, header, startLine } from '../checks/sip.ts';

interface ClientReading {
  readonly mcpttId: string;
  readonly clientId: string;
  readonly keyId: string;
  readonly bound: boolean;
  readonly profile: Readonly<Record<string, string | number | boolean | readonly string[]>>;
}

interface BindingReading {
  readonly mcpttId: string;
  readonly clientId: string;
  readonly impu: string;
  readonly sipSession: string;
}

/**
 * Step 4: service authorization by PUBLISH (TS 24.379 7.2.2, 7.3.3; pCR 7.x.2 step 4).
 *
 * ```
 * UE                          SIP core                            MCPTT server
 *  ├── PUBLISH poc-settings ─────▶├── PUBLISH, P-Asserted-Identity ──▶│  CEK by Key ID, body opened, token checked,
 *  │   S/MIME: token, client id   │   (cannot read the body)          │  MCPTT ID, client id, session URI, IMPU bound
 *  │◀─────────────────────────────┤◀── 200, SIP-ETag, Expires ────────┤
 *  │  S/MIME: user profile        │   (cannot read the body)          │
 * ```
 */
export const step4 = (user = 'alice', ue = 'ue'): Step => ({
  number: '4',
  title: 'Server opens the PUBLISH, checks the token, binds, returns the profile',
  clause: 'TS 24.379 7.3.3, pCR 7.x.2',
  responsible: 'mcptt-as',
  guard: 15_000,
  run: async (t) => {
    await t.actor(ue).do('publish', { user });
    const sent = await t.expect('the PUBLISH', { interface: 'SIP-1', actor: ue, direction: 'sent', method: 'PUBLISH' });
    expect(header(sent, 'Event', 'o'), 'Event').to.equal('poc-settings');
    expect(header(sent, 'P-Preferred-Service'), 'P-Preferred-Service').to.equal(
      'urn:urn-7:3gpp-service.ims.icsi.mcptt',
    );
    expect(header(sent, 'Accept-Contact', 'a'), 'Accept-Contact').to.match(/g\.3gpp\.(mcptt|icsi-ref)/);
    expect(header(sent, 'Expires'), 'Expires').to.equal('4294967295');
    expect(header(sent, 'Route'), 'Route follows the Service-Route').to.match(/<sip:/);
    expect(header(sent, 'Content-Type', 'c'), 'body').to.match(
      /application\/pkcs7-mime.*smime-type="?authEnveloped-data/i,
    );

    const atServer = await t.expect('the PUBLISH at the MCPTT server', {
      interface: 'SIP-2',
      method: 'PUBLISH',
      where: (r) => r.direction === 'received',
    });
    expect(header(atServer, 'P-Asserted-Identity'), 'the core asserts the IMPU').to.match(/<?(sip|tel):/);
    expect(body(atServer).replace(/\s/g, ''), 'the core passes the body on untouched').to.equal(
      body(sent).replace(/\s/g, ''),
    );

    const ok = await t.expect('the 200 to PUBLISH', {
      interface: 'SIP-1',
      actor: ue,
      direction: 'received',
      method: 'PUBLISH',
      status: 200,
    });
    expect(header(ok, 'SIP-ETag'), 'SIP-ETag').not.to.equal('');
    expect(Number(header(ok, 'Expires')), 'Expires').to.be.greaterThan(0);
    expect(header(ok, 'Content-Type', 'c'), 'body of the 200').to.match(
      /application\/pkcs7-mime.*smime-type="?authEnveloped-data/i,
    );

    const client = await t.actor(ue).read<ClientReading>('client', { user });
    expect(client.bound, 'the UE knows that it is bound').to.equal(true);
    expect(client.profile, 'the profile that the UE opened').to.be.an('object');
    const keyIdOctets = Buffer.from(client.keyId, 'hex');
    for (const record of [sent, ok]) {
      expect(
        Buffer.from(body(t.about(record)), 'base64').includes(keyIdOctets),
        `Key ID ${client.keyId} in the KEKIdentifier`,
      ).to.equal(true);
    }
    const bindings = await t.actor('mcptt-as').read<readonly BindingReading[]>('bindings');
    const binding = bindings.find((b) => b.mcpttId === client.mcpttId);
    expect(binding, 'binding at the MCPTT server').to.include({ clientId: client.clientId });
    t.show('Bound', `${binding!.mcpttId} · ${binding!.clientId}`);
    t.show('to', `${binding!.impu} · ${binding!.sipSession}`);
    t.show(
      'Profile opened by the UE',
      Object.entries(client.profile)
        .map(([name, value]) => `${name}=${String(value)}`)
        .join(' '),
    );

    const secrets: Secret[] = [
      { what: 'MCPTT ID', text: client.mcpttId.replace(/^sip:/, '') },
      { what: 'MCPTT client id', text: client.clientId },
      { what: 'MCPTT signalling in clear', text: 'mcptt-access-token' },
      { what: 'user profile in clear', text: 'mcptt-user-profile' },
    ];
    expectSecret(t.records({}, 'all'), secrets);
    const count = t.records({ where: (r) => r.protocol === 'sip' }, 'all').length;
    t.show(
      'Read by the SIP core',
      `nothing: no MCPTT ID, client id, token or profile in ${count} SIP messages, base64 decoded too`,
    );
    t.about(sent);
    expect(startLine(sent), 'Request-URI is the public service identity').to.match(/^PUBLISH sip:mcptt-participating@/);
  },
});

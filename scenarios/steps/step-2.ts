import { expect } from 'chai';
import type { Step } from '../../sim/scenario/scenario.ts';
import { body, header, startLine, uri } from '../checks/sip.ts';

/**
 * Step 2: third-party registration (TS 24.229 5.4.1.7) and the default service that follows it (the pCR's step 2).
 *
 * ```
 * UE               SIP core                               MCPTT server
 *  │                  ├── REGISTER: IMPU, S-CSCF, message/sip ─▶│
 *  │                  │◀──────────────────────────────── 200 ───┤
 *  ├── OPTIONS ──────▶├────────────────────────────────────────▶│  default service
 *  │◀─────────────────┤◀──────────────────────────────── 200 ───┤
 * ```
 */
export const step2 = (ue = 'ue'): Step => ({
  number: '2',
  title: 'SIP core registers the IMPU at the MCPTT server, which offers default service',
  clause: 'TS 24.229 5.4.1.7',
  responsible: 'sip-core',
  guard: 10_000,
  run: async (t) => {
    const [registered] = t
      .records({ interface: 'SIP-1', actor: ue, direction: 'sent', method: 'REGISTER' }, 'all')
      .slice(-1);
    const impu = uri(header(registered!, 'To', 't'));
    const contact = uri(header(registered!, 'Contact', 'm'));
    const request = await t.expect(
      'the third-party REGISTER',
      {
        interface: 'SIP-2',
        method: 'REGISTER',
        where: (r) =>
          r.direction === 'received' && uri(header(r, 'To', 't')) === impu && Number(header(r, 'Expires')) > 0,
      },
      { span: 'all' },
    );
    expect(startLine(request), 'Request-URI is the MCPTT server').to.match(/^REGISTER sip:mcptt-server/);
    expect(uri(header(request, 'To', 't')), 'To is the IMPU').to.equal(impu);
    const core = uri(header(request, 'From', 'f'));
    expect(core, 'From is the S-CSCF, not the user').not.to.equal(impu);
    expect(uri(header(request, 'Contact', 'm')).split(';', 1)[0], 'Contact is the S-CSCF').to.equal(
      core.split(';', 1)[0],
    );
    for (const name of ['P-Access-Network-Info', 'P-Visited-Network-ID', 'P-Charging-Vector'])
      expect(header(request, name), name).not.to.equal('');
    const content = body(request);
    expect(header(request, 'Content-Type', 'c'), 'body type').to.match(/message\/sip|multipart\/mixed/i);
    expect(content, 'the UE’s REGISTER is enclosed')
      .to.match(/REGISTER sip:/)
      .and.to.include(contact);
    expect(content, 'credentials are removed from the enclosed REGISTER').not.to.match(/^Authorization:/im);
    await t.expect('the MCPTT server’s 200', { interface: 'SIP-2', method: 'REGISTER', status: 200 }, { span: 'all' });
    t.show('Expires', `${header(request, 'Expires')} s`);
    t.show('S-CSCF', core);

    await t.actor(ue).do('options');
    t.show('Default service', 'OPTIONS answered 200; everything else waits for step 4');
  },
});

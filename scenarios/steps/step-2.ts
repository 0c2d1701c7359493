import { expect } from 'chai';
import type { Step } from '../../sim/scenario/scenario.ts';
import { headText } from '../../sim/trace/describe.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';
import { attempt } from '../checks/attempt.ts';
import { expectCipherKeysKept } from '../checks/cipher-keys.ts';
import { subscriberOf } from '../checks/provisioned.ts';
import { anyMcpttId, expectSecretFromSip } from '../checks/secrecy.ts';
import { body, granted, header, optionalHeader, parts, startLine, uri, uris } from '../checks/sip.ts';

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
    const onSip1 = { interface: 'SIP-1', actor: ue, method: 'REGISTER' } as const;
    const registered = t.records({ ...onSip1, direction: 'sent' }, 'all').at(-1)!;
    const ok = t.records({ ...onSip1, direction: 'received', status: 200 }, 'all').at(-1)!;
    const impu = uri(header(registered, 'To'));
    const contact = uri(header(registered, 'Contact'));
    const isOfThisUe = (r: MessageRecord): boolean =>
      body(r).includes(contact) || uri(optionalHeader(r, 'To') ?? '') === impu;
    const request = await t.expect(
      'the third-party REGISTER',
      {
        interface: 'SIP-2',
        method: 'REGISTER',
        where: (r) => isOfThisUe(r) && optionalHeader(r, 'Expires') !== '0',
      },
      { span: 'all', withinMs: 5_000 },
    );
    const criteria = subscriberOf(t, impu)?.initialFilterCriteria ?? [];
    const servers = criteria.map(({ applicationServer }) => applicationServer.serverName);
    if (servers.length > 0)
      expect(servers, 'Request-URI is the MCPTT server, as filter criteria name it').to.include(
        startLine(request).split(/[ ;]/)[1],
      );
    expect(uri(header(request, 'To')), 'To is the IMPU').to.equal(impu);
    const core = uri(header(request, 'From'));
    expect([impu, contact], 'From is the S-CSCF, neither the user nor the UE').not.to.include(core);
    expect(uri(header(request, 'Contact')).split(';', 1)[0], 'Contact is the S-CSCF').to.equal(core.split(';', 1)[0]);
    expect(Number(header(request, 'Expires')), 'Expires, as granted to the UE').to.equal(granted(ok));
    t.hold('ue', 'TS 24.229 5.1.1.2.1');
    const accessNetwork = header(registered, 'P-Access-Network-Info');
    t.hold('sip-core', 'TS 24.229 5.4.1.7');
    expect(header(request, 'P-Access-Network-Info'), 'P-Access-Network-Info, as the UE gave it').to.equal(
      accessNetwork,
    );
    expect(header(request, 'P-Visited-Network-ID'), 'P-Visited-Network-ID').not.to.equal('');
    expect(header(request, 'P-Charging-Vector'), 'P-Charging-Vector').to.match(/icid-value="?[^";]/i);
    t.hold('sip-core', 'TS 24.229 5.4.1.7A');
    expectEnclosed(request, registered);

    t.hold('sip-core', 'TS 24.229 5.4.1.2.2');
    const atCore = t.records({ actor: 'sip-core', direction: 'sent' }, 'all');
    const placeOf = (message: MessageRecord): number =>
      atCore.find((r) => Buffer.compare(r.bytes, message.bytes) === 0)?.sequence ?? Number.NaN;
    const [told, forwarded] = [placeOf(ok), placeOf(request)];
    // A core under test reports nothing of its own: then there is no order to see.
    if (!Number.isNaN(told + forwarded))
      expect(forwarded, 'place of the third-party REGISTER, after the 200 to the UE').to.be.greaterThan(told);

    t.hold('mcptt-as', 'TS 24.229 5.7.1.1');
    const answer = await t.expect(
      'the MCPTT server’s answer',
      {
        interface: 'SIP-2',
        where: (r) =>
          /^SIP\/2\.0 [2-6]/.test(startLine(r)) &&
          optionalHeader(r, 'Call-ID') === header(request, 'Call-ID') &&
          optionalHeader(r, 'CSeq') === header(request, 'CSeq'),
      },
      { span: 'all', withinMs: 5_000 },
    );
    expect(startLine(answer), 'answer to the third-party REGISTER').to.match(/^SIP\/2\.0 200 /);
    t.show('Expires', `${header(request, 'Expires')} s`);
    t.show('S-CSCF', core);

    const asking = await attempt(t, t.actor(ue).do('options'));
    t.hold('sip-core', 'TS 24.229 5.4.3.2');
    const options = await asking.seen('the OPTIONS at the MCPTT server', { interface: 'SIP-2', method: 'OPTIONS' });
    expect(uris(options, 'P-Asserted-Identity'), 'P-Asserted-Identity').to.include(impu);
    t.hold('mcptt-as', 'pCR 7.x.2 step 2');
    asking.outcome();
    expectSecretFromSip(t, anyMcpttId(t));
    expectCipherKeysKept(t, ue);
    t.show('Default service', 'OPTIONS answered 200; everything else waits for step 4');
  },
});

/** The body that the filter criteria ask for: service-info, and the UE's REGISTER without its credentials. */
export function expectEnclosed(request: MessageRecord, registered: MessageRecord): void {
  const entities = parts(request);
  const type = header(request, 'Content-Type').split(';', 1)[0]!.trim().toLowerCase();
  if (entities.length > 1) expect(type, 'type of a body of several parts').to.equal('multipart/mixed');
  const types = entities.map(({ type }) => type.split(';', 1)[0]!.toLowerCase());
  expect(types, 'types of the body’s parts').to.include.members(['application/3gpp-ims+xml', 'message/sip']);
  const serviceInfo = entities[types.indexOf('application/3gpp-ims+xml')]!.content;
  expect(serviceInfo, 'service-info').to.match(/<service-info>[^<]/);
  const enclosed = { bytes: Buffer.from(entities[types.indexOf('message/sip')]!.content, 'latin1') };
  expect(startLine(enclosed), 'start line of the enclosed REGISTER').to.equal(startLine(registered));
  for (const name of ['To', 'Contact', 'Call-ID', 'CSeq'])
    expect(header(enclosed, name), `${name} of the enclosed REGISTER`).to.equal(header(registered, name));
  expect(headText(enclosed.bytes), 'credentials in the enclosed REGISTER').not.to.match(
    /^(proxy-)?authorization\s*:/im,
  );
}

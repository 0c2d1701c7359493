import { expect } from 'chai';
import { differences } from './compare-reports.ts';

/** A report as docs/report.md has it, of one scenario with one step. */
const report = {
  format: 'mcptt-testbed-report',
  version: 1,
  verdict: 'pass',
  scenarios: [
    {
      id: 'figure-7.x.2-1',
      title: 'Figure 7.x.2-1',
      requirements: ['STEP-1', 'STEP-3b'],
      verdict: 'pass',
      started: '2026-11-24T00:00:00.000Z',
      durationMs: 12,
      clockOffsets: { ue: 0 },
      choices: [{ number: 2, text: 'one access token each' }],
      steps: [
        {
          number: '1',
          title: 'UE registers',
          clause: 'TS 33.203 6.1',
          responsible: 'ue',
          verdict: 'pass',
          durationMs: 7,
          shown: [
            { label: 'Registered for', value: '600000 s' },
            { label: 'CEK', value: '256 bit, the same at both ends (fingerprint 7a1cfa5692b81e16)' },
            { label: 'SIP core', value: 'wss://127.0.0.1:37669' },
            { label: 'Refused', value: 'the KMS at 127.0.0.1:40123 cannot be reached: no trust' },
            { label: 'Read by the SIP core', value: 'nothing in 27 SIP messages' },
            { label: 'Load', value: '638 messages in 13.0 s, 49/s in each direction, none lost' },
          ],
        },
      ],
      messages: ['401 Unauthorized (REGISTER)', '200 OK (REGISTER)'].map((summary) => ({
        step: '1',
        from: 'sip-core',
        to: 'ue',
        interface: 'SIP-1',
        protocol: 'sip',
        summary,
        time: '2026-11-24T00:00:00.001Z',
        sent: { actor: 'sip-core', sequence: 3, time: '2026-11-24T00:00:00.001Z', redacted: [], bytes: 'AAAA' },
      })),
    },
  ],
};

const text = JSON.stringify(report);

describe('comparison of reports of several topologies', () => {
  const planted: [string, string, string][] = [
    ['the verdict', '"verdict":"pass","scenarios"', '"verdict":"fail","scenarios"'],
    ['a step’s verdict', '"responsible":"ue","verdict":"pass"', '"responsible":"ue","verdict":"inconclusive"'],
    ['a step’s number', '"number":"1"', '"number":"3b"'],
    ['a clause', 'TS 33.203 6.1', 'TS 33.203 6.2'],
    ['whoever is responsible', '"responsible":"ue"', '"responsible":"kms"'],
    ['a requirement', '"STEP-3b"', '"STEP-3a"'],
    ['a failure', '"durationMs":7', '"failure":{"step":"1","message":"no"}'],
    ['a lifetime', '600000 s', '60000 s'],
    ['the length of a key', '256 bit', '128 bit'],
    ['what is said of a key', 'the same at both ends', 'different'],
    ['how many were lost', 'none lost', '3 lost'],
    ['a scheme', 'wss://', 'tcp://'],
    ['a status code', '401 Unauthorized', '407 Unauthorized'],
    ['a message left out', '200 OK (REGISTER)', '401 Unauthorized (REGISTER)'],
    ['a message on another interface', '"interface":"SIP-1"', '"interface":"SIP-2"'],
    ['a receiver', '"to":"ue"', '"to":"ue-b"'],
    ['a choice', '"number":2', '"number":3'],
    ['a version', '"version":1', '"version":2'],
    ['a scenario left out', text.slice(text.indexOf('[{"id"')), '[]}'],
  ];
  for (const [what, one, other] of planted) {
    it(`finds ${what}`, () => {
      expect(text).to.include(one);
      expect(differences(text, text.replace(one, other))).not.to.have.lengthOf(0);
      expect(differences(text.replace(one, other), text)).not.to.have.lengthOf(0);
    });
  }

  it('takes times, addresses, octets and what a run makes afresh for the same', () => {
    const other = [
      ['"started":"2026-11-24T00', '"started":"2027-01-01T11'],
      ['"durationMs":12', '"durationMs":13'],
      ['{"ue":0}', '{"ue":3600000}'],
      ['7a1cfa5692b81e16', '00112233445566ff'],
      ['wss://127.0.0.1:37669', 'wss://sip-core:5081'],
      ['the KMS at 127.0.0.1:40123 cannot', 'the KMS at kms:8443 cannot'],
      ['27 SIP messages', '28 SIP messages'],
      ['638 messages in 13.0 s, 49/s', '1948 messages in 39.0 s, 50/s'],
      ['AAAA', 'BBBB'],
    ].reduce((all, [from, to]) => all.replaceAll(from!, to!), text);
    expect(other).not.to.equal(text);
    expect(differences(text, other)).to.deep.equal([]);
  });
});

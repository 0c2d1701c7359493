import { expect } from 'chai';
import type { Step } from '../../sim/scenario/scenario.ts';
import { body, startLine, wholeText } from '../checks/sip.ts';

/**
 * Step 3a: the user logs in at the IdM and gets two access tokens (OpenID Connect Core 3.1, RFC 7636, RFC 8707, TS 33.180 annex B).
 *
 * ```
 * UE (IdM client)                               IdM
 *  ├── GET discovery document ─────────────────────▶│
 *  ├── GET authorization, code + PKCE S256 ────────▶│
 *  ├── POST login form (user name, password) ──────▶│
 *  │◀──────────────── redirect with the code ───────┤
 *  ├── POST token (code, resource = MCPTT server) ─▶│
 *  │◀──────────────── access token ─────────────────┤
 *  ├── POST token (resource = KMS) ────────────────▶│
 *  │◀──────────────── KMS access token ─────────────┤
 * ```
 */
export const step3a = (user = 'alice', ue = 'ue'): Step => ({
  number: '3a',
  title: 'User logs in at the IdM; tokens for the MCPTT server and for the KMS',
  clause: 'TS 33.180 B.3',
  responsible: 'idm',
  guard: 15_000,
  run: async (t) => {
    const tokens = await t.actor(ue).do<{ mcptt: Claims; kms: Claims }>('logIn', { user });
    const requests = t.records({ interface: 'CSC-1', actor: ue, direction: 'sent' });
    const authorization = requests.find((r) => startLine(r).includes('response_type=code'));
    expect(authorization, 'authorization request').not.to.equal(undefined);
    const asked = new URLSearchParams(startLine(t.about(authorization!)).split(' ')[1]!.split('?')[1]);
    expect(asked.get('code_challenge_method'), 'PKCE').to.equal('S256');
    expect(asked.get('acr_values'), 'acr_values').to.equal('3gpp:acr:password');
    expect(asked.get('scope')?.split(' '), 'scope').to.include('openid');
    expect(
      requests.some((r) => wholeText(r).includes('[password]') || r.redacted.includes('password')),
      'login form posted',
    ).to.equal(true);
    const resources = requests
      .filter((r) => startLine(r).startsWith('POST'))
      .map((r) => new URLSearchParams(body(r)).get('resource'))
      .filter((r) => r !== null);
    expect(resources, 'resources asked for at the token endpoint').to.include.members([
      'urn:3gpp:mcptt:server',
      'urn:3gpp:mcptt:kms',
    ]);
    const issuer = await t.actor('idm').read<string | { issuer: string }>('issuer');
    for (const [claims, audience] of [
      [tokens.mcptt, 'urn:3gpp:mcptt:server'],
      [tokens.kms, 'urn:3gpp:mcptt:kms'],
    ] as const) {
      expect(claims, 'claims').to.include.keys('mcptt_id', 'client_id', 'scope', 'aud', 'iss', 'exp');
      expect(claims.aud, 'audience').to.equal(audience);
      expect(claims.iss, 'issuer').to.equal(typeof issuer === 'string' ? issuer : issuer.issuer);
    }
    expect(tokens.mcptt.mcptt_id, 'both tokens name the same user').to.equal(tokens.kms.mcptt_id);
    t.show('MCPTT ID', tokens.mcptt.mcptt_id);
    t.show('Tokens', `${tokens.mcptt.aud} and ${tokens.kms.aud}`);
  },
});

interface Claims {
  readonly mcptt_id: string;
  readonly client_id: string;
  readonly scope: string;
  readonly aud: string;
  readonly iss: string;
  readonly exp: number;
  readonly [claim: string]: string | number;
}

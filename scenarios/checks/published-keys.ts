/** The keys that the IdM publishes now, as anybody may fetch them (RFC 7517 5, OpenID Connect Discovery 1.0 4). */
import type { JsonWebKey } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { StepContext } from '../../sim/scenario/scenario.ts';

export async function publishedKeys(t: StepContext): Promise<JsonWebKey[]> {
  const issuer = await t.actor('idm').read<string>('issuer');
  const discovery = (await getJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)) as {
    jwks_uri: string;
  };
  const { keys } = (await getJson(discovery.jwks_uri)) as { keys: JsonWebKey[] };
  return keys;
}

/** What is published needs no trust in whoever says it: a wrong key here only makes the token wrong in another way. */
async function getJson(url: string): Promise<unknown> {
  const asked = request(url, { rejectUnauthorized: false, agent: false, signal: AbortSignal.timeout(5_000) });
  asked.end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
}

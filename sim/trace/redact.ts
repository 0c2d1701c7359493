/**
 * Takes secrets out of message bytes before a record leaves the actor's process. What was found is named in the record,
 * so that a token or key seen on a SIP interface counts as a leak even though the report never shows it.
 */
import { createHash } from 'node:crypto';

interface Rule {
  readonly kind: string;
  /** Groups: what stays before, the secret. */
  readonly pattern: RegExp;
  /** Whether a digest of the secret is shown, so that equal secrets are seen to be equal. Never for what can be guessed. */
  readonly digest: boolean;
}

/** All patterns run over latin1 text, one character per octet. */
const RULES: readonly Rule[] = [
  { kind: 'token', pattern: /()(eyJ[\w-]{8,}\.[\w-]+\.[\w-]*)/g, digest: true },
  { kind: 'bearer', pattern: /(authorization: *bearer +)(?!\[)(\S+)/gi, digest: true },
  { kind: 'cookie', pattern: /((?:^|\n)(?:set-)?cookie: *)([^\r\n]+)/gi, digest: false },
  { kind: 'password', pattern: /((?:^|[&?\n])password=)([^&\s]+)/gi, digest: false },
  {
    kind: 'oauth-secret',
    pattern: /((?:^|[&?\n])(?:code|code_verifier|refresh_token|access_token|id_token|token)=)(?!\[)([^&\s]+)/gi,
    digest: true,
  },
  { kind: 'oauth-secret', pattern: /("(?:refresh_token|access_token|id_token)" *: *")(?!\[)([^"]+)/g, digest: true },
  {
    kind: 'private-key',
    pattern: /(<(?:\w+:)?(?:UserDecryptKey|UserSigningKeySSK)\b[^>]*>\s*(?:<[^/][^>]*>\s*)?)([^<\s][^<]*)/g,
    digest: false,
  },
  { kind: 'cipher-key', pattern: /\b((?:ck|ik)="?)([0-9a-f]{32})/gi, digest: false },
];

/** A run of base64 long enough to hide a token, over several lines or not. */
const BASE64_RUN = /[A-Za-z0-9+/]{40,}(?:\r?\n[A-Za-z0-9+/]{1,})*={0,2}/g;

const sha = (text: string): string => createHash('sha256').update(text, 'latin1').digest('hex').slice(0, 8);

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');

function replaceSecrets(text: string, found: Set<string>): string {
  let out = text;
  for (const { kind, pattern, digest } of RULES) {
    out = out.replace(pattern, (_all, before: string, secret: string) => {
      found.add(kind);
      return `${before}[${kind}${digest ? ` ${sha(secret)}` : ''}]`;
    });
  }
  return out;
}

/**
 * @param reveal leave the octets as they are (`--reveal`); what was found is still named
 * @returns the octets without secrets and the kinds that were found, in no particular order
 */
export function redact(bytes: Uint8Array, reveal = false): { bytes: Uint8Array; redacted: string[] } {
  const found = new Set<string>();
  const text = latin1(bytes);
  const plain = replaceSecrets(text, found);
  const out = plain.replace(BASE64_RUN, (run) => {
    const inside = new Set<string>();
    replaceSecrets(Buffer.from(run, 'base64').toString('latin1'), inside);
    if (inside.size === 0) return run;
    for (const kind of inside) found.add(kind);
    return `[base64 holding ${[...inside].join(', ')}]`;
  });
  if (reveal || found.size === 0) return { bytes, redacted: [...found] };
  return { bytes: Buffer.from(out, 'latin1'), redacted: [...found] };
}

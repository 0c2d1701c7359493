/** Header field values that MCPTT signalling needs, built and read at one place (TS 24.379, TS 24.229, RFC 3261). */

/** IMS communication service identifier of MCPTT (TS 24.379 annex D.1). */
export const ICSI_MCPTT = 'urn:urn-7:3gpp-service.ims.icsi.mcptt';

/** TS 24.379 7.2.2: which service the client asks for. */
export const P_PREFERRED_SERVICE = ICSI_MCPTT;

/** TS 24.379 7.2.2: the request may only reach what is an MCPTT function; two values, both required. */
export const ACCEPT_CONTACT: readonly string[] = [
  '*;+g.3gpp.mcptt;require;explicit',
  `*;+g.3gpp.icsi-ref="${encodeURIComponent(ICSI_MCPTT)}";require;explicit`,
];

/** Feature tags of the Contact in the UE's REGISTER (TS 24.379 7.2.1). */
export const CONTACT_FEATURES = `+g.3gpp.mcptt;+g.3gpp.icsi-ref="${encodeURIComponent(ICSI_MCPTT)}"`;

/** TS 24.379 7.2.1A: "4294967295" = as long as the registration; "0" removes the settings and logs off. */
export const PUBLISH_FOREVER = 4294967295;

/** Warning texts of TS 24.379 4.4; `101` and `141` are the specification's own words. */
export const WARNINGS = {
  authorisationFailed: '101 service authorisation failed',
  userUnknown: '141 user unknown to the participating function',
  privateCallNotAllowed: '107 user not authorised to make private calls',
  protectionRequired: '399 body protection is required',
  notRegistered: '399 no registration is known for the asserted identity',
  notYetAuthorised: '399 no service before service authorisation',
  notReachable: '399 the called user is not authorised for service at the moment',
} as const;

/** A Warning value (RFC 3261 20.43) with code 399. `host` is the agent, `text` what a person reads. */
export function formatWarning(host: string, text: string): string {
  return `399 ${host} "${text.replace(/[\\"]/g, '\\$&')}"`;
}

/** Text of the first warning in a Warning value; undefined when there is none. */
export function warningText(value: string | undefined): string | undefined {
  return value?.match(/^\s*\d{3}\s+\S+\s+"((?:[^"\\]|\\.)*)"/)?.[1]?.replace(/\\(.)/g, '$1');
}

/** What stands behind a 493: distinct, so that a tester sees which check refused (requirement MIME-2). */
export const UNDECIPHERABLE = ['unknown', 'retired', 'of another user', 'cannot be opened'] as const;
export type Undecipherable = (typeof UNDECIPHERABLE)[number];

/** Warning text of a 493. @param keyId 8 hex digits, or undefined when the body names none */
export function undecipherableText(keyId: string | undefined, why: Undecipherable): string {
  return `Undecipherable, Key ID ${keyId ?? 'none'}: ${why}`;
}

/** The Key ID that a 493 names as retired; undefined for every other warning text. */
export function retiredKeyId(warning: string | undefined): string | undefined {
  return warning?.match(/^Undecipherable, Key ID ([0-9a-f]{8}): retired$/)?.[1];
}

/** URI of a name-addr or addr-spec (RFC 3261 20.10), header parameters dropped. */
export function uriOf(value: string): string {
  const bracketed = /^(?:[^"<]|"(?:[^"\\]|\\.)*")*<([^>]*)>/.exec(value)?.[1];
  return (bracketed ?? value.split(';')[0]!).trim();
}

/** Splits a header value at commas that stand outside quotes and angle brackets (RFC 3261 7.3.1). */
export function splitValues(value: string): string[] {
  const values: string[] = [];
  let start = 0;
  let quoted = false;
  let angled = false;
  for (let i = 0; i < value.length; i++) {
    const c = value[i];
    if (quoted && c === '\\') i++;
    else if (c === '"') quoted = !quoted;
    else if (!quoted && c === '<') angled = true;
    else if (!quoted && c === '>') angled = false;
    else if (c === ',' && !quoted && !angled) {
      values.push(value.slice(start, i).trim());
      start = i + 1;
    }
  }
  values.push(value.slice(start).trim());
  return values.filter((v) => v !== '');
}

/** Length of the name-addr or addr-spec that a header value begins with; header parameters follow it. */
const addressLength = (value: string): number =>
  (/^(?:[^"<]|"(?:[^"\\]|\\.)*")*<[^>]*>/.exec(value)?.[0] ?? value.split(';', 1)[0]!).length;

/** White space may stand before the semicolon too (SEMI, RFC 3261 25.1): a folded header field has it there. */
const PARAMETER = /\s*;\s*([^\s=;]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*)))?/y;

/** Header parameters outside the angle brackets, each as it stands there, semicolon included. */
function* parametersOf(value: string): Generator<{ name: string; value: string; text: string }> {
  const parameter = new RegExp(PARAMETER);
  parameter.lastIndex = addressLength(value);
  for (let at = parameter.exec(value); at !== null; at = parameter.exec(value)) {
    const [text, name, quoted, plain] = at;
    yield { name: name!.toLowerCase(), value: quoted?.replace(/\\(.)/g, '$1') ?? (plain ?? '').trim(), text };
  }
}

/** Value of a header parameter outside the angle brackets, unquoted; undefined when it is not there. */
export function parameterOf(value: string, name: string): string | undefined {
  for (const parameter of parametersOf(value)) if (parameter.name === name.toLowerCase()) return parameter.value;
  return undefined;
}

/** The URI in angle brackets with all header parameters but one, each as it stands (`+sip.instance` holds brackets too). */
export function withoutParameter(value: string, name: string): string {
  const kept = [...parametersOf(value)].filter((parameter) => parameter.name !== name.toLowerCase());
  return `<${uriOf(value)}>${kept.map(({ text }) => text.trim()).join('')}`;
}

/**
 * URI comparison good enough for identities: scheme and host without case, user part with case, parameters ignored
 * (RFC 3261 19.1.4 compares user parts byte by byte; a public user identity carries no parameters, TS 23.003 13.4).
 */
export function sameIdentity(a: string, b: string): boolean {
  return identityKey(a) === identityKey(b);
}

/** Form in which an identity is stored and looked up; see {@link sameIdentity}. */
export function identityKey(uri: string): string {
  const match = /^([a-zA-Z][a-zA-Z0-9+.-]*):(?:([^@;?]*)@)?([^;?]*)/.exec(uri.trim());
  if (!match) return uri.trim();
  const [, scheme, user, host] = match;
  return user === undefined
    ? `${scheme!.toLowerCase()}:${host!.toLowerCase()}`
    : `${scheme!.toLowerCase()}:${user}@${host!.toLowerCase()}`;
}

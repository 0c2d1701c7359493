/**
 * Header field names. Inside the engine a name is its lower-case long form ("call-id"), always the same string object,
 * so that comparing two names is comparing two pointers.
 */

/** Long forms as the standards spell them; used when the engine itself writes a header line. */
const SPELLINGS = [
  'Accept',
  'Accept-Contact',
  'Accept-Encoding',
  'Accept-Language',
  'Alert-Info',
  'Allow',
  'Allow-Events',
  'Authentication-Info',
  'Authorization',
  'Call-ID',
  'Call-Info',
  'Contact',
  'Content-Disposition',
  'Content-Encoding',
  'Content-Language',
  'Content-Length',
  'Content-Type',
  'CSeq',
  'Date',
  'Diversion',
  'Error-Info',
  'Event',
  'Expires',
  'Feature-Caps',
  'Flow-Timer',
  'From',
  'History-Info',
  'Identity',
  'In-Reply-To',
  'Join',
  'Max-Forwards',
  'MIME-Version',
  'Min-Expires',
  'Min-SE',
  'Organization',
  'P-Access-Network-Info',
  'P-Answer-State',
  'P-Asserted-Identity',
  'P-Asserted-Service',
  'P-Associated-URI',
  'P-Called-Party-ID',
  'P-Charging-Function-Addresses',
  'P-Charging-Vector',
  'P-Preferred-Identity',
  'P-Preferred-Service',
  'P-Visited-Network-ID',
  'Path',
  'Priority',
  'Privacy',
  'Proxy-Authenticate',
  'Proxy-Authorization',
  'Proxy-Require',
  'RAck',
  'Reason',
  'Record-Route',
  'Recv-Info',
  'Refer-Sub',
  'Refer-To',
  'Referred-By',
  'Reject-Contact',
  'Replaces',
  'Reply-To',
  'Request-Disposition',
  'Require',
  'Resource-Priority',
  'Retry-After',
  'Route',
  'RSeq',
  'Security-Client',
  'Security-Server',
  'Security-Verify',
  'Server',
  'Service-Route',
  'Session-Expires',
  'SIP-ETag',
  'SIP-If-Match',
  'Subject',
  'Subscription-State',
  'Supported',
  'Target-Dialog',
  'Timestamp',
  'To',
  'Unsupported',
  'User-Agent',
  'Via',
  'Warning',
  'WWW-Authenticate',
] as const;

/** IANA "SIP parameters", compact forms. */
const COMPACT: Readonly<Record<string, string>> = {
  a: 'accept-contact',
  b: 'referred-by',
  c: 'content-type',
  d: 'request-disposition',
  e: 'content-encoding',
  f: 'from',
  i: 'call-id',
  j: 'reject-contact',
  k: 'supported',
  l: 'content-length',
  m: 'contact',
  n: 'identity-info',
  o: 'event',
  r: 'refer-to',
  s: 'subject',
  t: 'to',
  u: 'allow-events',
  v: 'via',
  x: 'session-expires',
  y: 'identity',
};

/** Headers whose grammar is a comma-separated list, so that several values may share one line (RFC 3261 7.3.1). */
const LISTS = new Set(
  `accept accept-contact accept-encoding accept-language alert-info allow allow-events call-info contact
   content-encoding content-language diversion error-info feature-caps history-info in-reply-to p-asserted-identity
   p-associated-uri p-preferred-identity p-visited-network-id path proxy-require reason record-route recv-info
   reject-contact require resource-priority route security-client security-server security-verify service-route
   supported unsupported via warning`.split(/\s+/),
);

const TOKEN = /^[A-Za-z0-9\-.!%*_+`'~]+$/;

/** Every spelling seen so far to its canonical name; bounded, since peers choose the spellings. */
const canonical = new Map<string, string>();
const spelling = new Map<string, string>();
const CACHE_BOUND = 2000;

for (const long of SPELLINGS) {
  const name = long.toLowerCase();
  canonical.set(name, name);
  canonical.set(long, name);
  spelling.set(name, long);
}
for (const [compact, name] of Object.entries(COMPACT)) {
  const known = canonical.get(name) ?? name;
  canonical.set(compact, known);
  canonical.set(compact.toUpperCase(), known);
}

/** The canonical name of a header field name in any spelling, compact forms included; undefined if it is no token. */
export function canonicalName(written: string): string | undefined {
  const known = canonical.get(written);
  if (known !== undefined) return known;
  if (!TOKEN.test(written)) return undefined;
  const lower = written.toLowerCase();
  const name = canonical.get(lower) ?? lower;
  if (canonical.size < CACHE_BOUND && written.length <= 64) canonical.set(written, name);
  return name;
}

/** How the engine writes a header field name of its own: the standard's spelling, or Title-Case for unknown names. */
export function spell(name: string): string {
  const lower = name.toLowerCase();
  return (
    spelling.get(canonical.get(lower) ?? lower) ??
    lower.replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase())
  );
}

/** Whether several values of this (canonical) header may be joined by commas. */
export function isList(name: string): boolean {
  return LISTS.has(name);
}

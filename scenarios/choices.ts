/** The choices made where the pCR is open (docs/requirements.md, "Choices"), as the reports print them. */
export const CHOICES = {
  cms: 'CMS form: the KMS’s CEK is the key-encryption key of one KEKRecipientInfo (KEKIdentifier = Key ID, AES-256 key wrap) of an AuthEnvelopedData; each message has a fresh AES-256-GCM key. It is the S/MIME form that carries a key identifier and that `openssl cms` opens.',
  tokens:
    'Two tokens: one login gives two access tokens by resource indicators (RFC 8707), one for the MCPTT server and one for the KMS. Later TS 33.180 puts several scopes in one token.',
  push: 'Push: KMS to MCPTT server by HTTPS POST with mutual TLS, acknowledged and retried; KMS to client by a server-sent-event stream on HTTP-1. CEKs travel as MIKEY-SAKKE I_MESSAGEs: the SSV is 128 bits, so the 256-bit CEK rides in a KEMAC payload under keys derived from it.',
  profile:
    'Profile: the service authorization profile comes in the 200 to the PUBLISH, as an S/MIME-protected application/vnd.3gpp.mcptt-user-profile+xml. Release 13 and later fetch it by XCAP.',
  ibc: 'Identity based cryptography in the body: the inner MIME entity is signed with ECCSI by its sender’s identity (CMS SignedData inside the AuthEnvelopedData, a UUID-derived 2.25 OID since none is registered).',
  session:
    'SIP session: named by the Contact URI that the UE registers. The UE chooses it, the MCPTT server reads it from the third-party REGISTER, to the KMS it is opaque.',
  eps: 'Step 0 is EPS AKA over real NAS messages without a radio; equal K_ASME on both sides shows in the integrity-protected Security mode command and its answer.',
} as const;

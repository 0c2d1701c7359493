/** Namespaces of the KMS interface (TS 33.180 annex D) and of this project's elements at its extension points. */
export const KMS_NAMESPACE = 'urn:3gpp:ns:mcsecKMSInterface:1.0';
export const CEK_NAMESPACE = 'urn:mcptt-testbed:cek:1.0';
export const XSI_NAMESPACE = 'http://www.w3.org/2001/XMLSchema-instance';

/** Media type of every body on HTTP-1. */
export const KMS_MEDIA_TYPE = 'application/xml';

/** Resources of TS 33.180 clause D.1, and this project's beside them (docs/interfaces.md, HTTP-1). */
export const KMS_PATHS = {
  init: '/keymanagement/identity/v1/init',
  keyProv: '/keymanagement/identity/v1/keyprov',
  certCache: '/keymanagement/identity/v1/certcache',
  cekUpdate: '/keymanagement/cek/v1/update',
  cekEnd: '/keymanagement/cek/v1/end',
  cekSessions: '/keymanagement/cek/v1/sessions',
  cekEvents: '/keymanagement/cek/v1/events',
  /** On the MCPTT server. */
  cekPush: '/cek/v1/push',
} as const;

/**
 * The test CA: every certificate of the testbed comes from one of these, made at start or shared through a folder.
 * P-256 throughout; a certificate serves as TLS server and as TLS client, because most actors are both.
 */
import 'reflect-metadata';
import { type webcrypto as WebCrypto, webcrypto } from 'node:crypto';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

/** ECDSA on P-256 with SHA-256, the one algorithm of this CA. */
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** Certificates are valid from an hour ago, so that a container whose clock is slow accepts them. */
const HOUR = 3_600_000;
const YEAR = 365 * 24 * HOUR;

const CERTIFICATE_FILE = 'ca.crt';
const KEY_FILE = 'ca.key';

/** PEM texts: an actor's certificate and private key, and the CA certificate that it trusts. */
export interface IssuedIdentity {
  readonly certificate: string;
  readonly privateKey: string;
  readonly ca: string;
}

/** What a certificate is to say. */
export interface IdentityRequest {
  readonly commonName: string;
  /** Host names; `localhost` is always among them. */
  readonly dns?: readonly string[];
  /** IP addresses beside `127.0.0.1` and `::1`, which are always among them. */
  readonly ip?: readonly string[];
  /** URIs, for example the `sip:` URI that names a TLS client. */
  readonly uri?: readonly string[];
}

export type CaErrorCode = 'CA_MISSING' | 'CA_KEY_READABLE' | 'CA_MALFORMED' | 'CA_EXISTS';

/** The CA's folder cannot be used; `code` says why, the message what to do. */
export class CaError extends Error {
  readonly code: CaErrorCode;

  constructor(code: CaErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CaError';
    this.code = code;
  }
}

export class TestCa {
  /** The CA's own certificate, PEM. */
  readonly certificate: string;
  readonly #issuer: x509.X509Certificate;
  readonly #key: WebCrypto.CryptoKey;

  private constructor(issuer: x509.X509Certificate, key: WebCrypto.CryptoKey) {
    this.certificate = issuer.toString('pem');
    this.#issuer = issuer;
    this.#key = key;
  }

  /** Makes a new CA with a new key. */
  static async create(commonName = 'MCPTT testbed test CA'): Promise<TestCa> {
    const keys = await newKeys();
    const issuer = await x509.X509CertificateGenerator.createSelfSigned({
      name: nameOf(commonName),
      ...validity(10 * YEAR),
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new TestCa(issuer, keys.privateKey);
  }

  /**
   * Reads a CA that {@link save} wrote.
   * @throws CaError `CA_MISSING`, `CA_MALFORMED`, or `CA_KEY_READABLE` when others than the owner may read the key.
   */
  static async load(folder: string): Promise<TestCa> {
    const keyFile = join(folder, KEY_FILE);
    let certificate: string;
    let key: string;
    try {
      const { mode } = await stat(keyFile);
      if ((mode & 0o077) !== 0) {
        throw new CaError('CA_KEY_READABLE', `${keyFile} may be read by others than its owner: run chmod 600 on it`);
      }
      certificate = await readFile(join(folder, CERTIFICATE_FILE), 'utf8');
      key = await readFile(keyFile, 'utf8');
    } catch (error) {
      if (error instanceof CaError) throw error;
      throw new CaError('CA_MISSING', `no test CA in ${folder}: make one there first`, { cause: error });
    }
    try {
      const pkcs8 = x509.PemConverter.decodeFirst(key);
      const privateKey = await webcrypto.subtle.importKey('pkcs8', pkcs8, ALGORITHM, true, ['sign']);
      return new TestCa(new x509.X509Certificate(certificate), privateKey);
    } catch {
      throw new CaError('CA_MALFORMED', `the test CA in ${folder} cannot be read: remove it and make a new one`);
    }
  }

  /**
   * Writes certificate and key (mode 0600) into a folder, which is made if need be. Never replaces a CA: whoever trusts
   * the old one would be cut off.
   * @throws CaError `CA_EXISTS`
   */
  async save(folder: string): Promise<void> {
    await mkdir(folder, { recursive: true });
    const key = await pemOf(this.#key);
    try {
      await writeFile(join(folder, KEY_FILE), key, { mode: 0o600, flag: 'wx' });
    } catch (error) {
      throw new CaError('CA_EXISTS', `${folder} already holds a test CA: load it, or remove it first`, {
        cause: error,
      });
    }
    await writeFile(join(folder, CERTIFICATE_FILE), `${this.certificate}\n`);
  }

  /** Makes a key and a certificate for it, good for TLS servers and clients, one year. */
  async issue(request: IdentityRequest): Promise<IssuedIdentity> {
    const keys = await newKeys();
    const names = new x509.SubjectAlternativeNameExtension([
      ...unique('localhost', request.dns).map((value) => ({ type: 'dns' as const, value })),
      ...unique('127.0.0.1', ['::1', ...(request.ip ?? [])]).map((value) => ({ type: 'ip' as const, value })),
      ...(request.uri ?? []).map((value) => ({ type: 'url' as const, value })),
    ]);
    const certificate = await x509.X509CertificateGenerator.create({
      subject: nameOf(request.commonName),
      issuer: this.#issuer.subjectName,
      ...validity(YEAR),
      publicKey: keys.publicKey,
      signingKey: this.#key,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
        names,
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(this.#issuer.publicKey),
      ],
    });
    return {
      certificate: certificate.toString('pem'),
      privateKey: await pemOf(keys.privateKey),
      ca: this.certificate,
    };
  }
}

/** Makes a new test CA; it lives in memory until it is saved. */
export const createTestCa = (): Promise<TestCa> => TestCa.create();

/** Reads the test CA in `folder`, as {@link TestCa.load}. */
export const loadTestCa = (folder: string): Promise<TestCa> => TestCa.load(folder);

/**
 * What somebody shows who poses as the owner of a certificate: all that it says, over another key, from a CA that bears the
 * test CA's name and that nobody trusts. New each time.
 */
export async function impostorOf({ certificate }: { readonly certificate: string }): Promise<IssuedIdentity> {
  const posed = new x509.X509Certificate(x509.PemConverter.decodeFirst(certificate));
  const names = posed.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON() ?? [];
  const of = (type: string): string[] => names.filter((name) => name.type === type).map(({ value }) => value);
  const ca = await createTestCa();
  return ca.issue({
    commonName: posed.subjectName.getField('CN')[0] ?? '',
    dns: of('dns'),
    ip: of('ip'),
    uri: of('url'),
  });
}

const newKeys = (): Promise<WebCrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) as Promise<WebCrypto.CryptoKeyPair>;

const pemOf = async (key: WebCrypto.CryptoKey): Promise<string> =>
  `${x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;

const validity = (lifetime: number): { notBefore: Date; notAfter: Date } => ({
  notBefore: new Date(Date.now() - HOUR),
  notAfter: new Date(Date.now() + lifetime),
});

/** As a structure, not as text: nothing in a common name needs escaping then. */
const nameOf = (commonName: string): x509.Name => new x509.Name([{ CN: [{ utf8String: commonName }] }]);

const unique = (first: string, more: readonly string[] = []): string[] => [...new Set([first, ...more])];

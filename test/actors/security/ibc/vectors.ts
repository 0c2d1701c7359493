import { readFileSync } from 'node:fs';
import type { KmsCertificate, UserKeySet } from '../../../../actors/security/ibc/key-set.ts';
import { fromHex } from '../../../../actors/security/ibc/octets.ts';

/** Values of a published vector, by name; hexadecimal strings unless a number. */
type Values = Record<string, string | number | undefined>;

const { vectors } = JSON.parse(
  readFileSync(new URL('../../../../fixtures/vectors/ibc-vectors.json', import.meta.url), 'utf8'),
) as { vectors: { name: string; verified: boolean; values: Values }[] };

/** The vector with exactly this name. */
export function vector(name: string): Vector {
  const found = vectors.filter((candidate) => candidate.name === name);
  if (found.length !== 1) throw new Error(`${found.length} vectors are called ${name}`);
  return new Vector(name, found[0]!.values);
}

/** Every vector whose name starts so. */
export function vectorsOf(prefix: string): Vector[] {
  return vectors.filter(({ name }) => name.startsWith(prefix)).map(({ name, values }) => new Vector(name, values));
}

export class Vector {
  readonly name: string;
  readonly #values: Values;

  constructor(name: string, values: Values) {
    this.name = name;
    this.#values = values;
  }

  text(field: string): string {
    const value = this.#values[field];
    if (typeof value !== 'string') throw new Error(`${this.name} has no text ${field}`);
    return value;
  }

  number(field: string): number {
    const value = this.#values[field];
    if (typeof value !== 'number') throw new Error(`${this.name} has no number ${field}`);
    return value;
  }

  hex(field: string): Uint8Array {
    return fromHex(this.text(field).toLowerCase());
  }

  integer(field: string): bigint {
    return BigInt(`0x${this.text(field)}`);
  }

  has(field: string): boolean {
    return this.#values[field] !== undefined && this.#values[field] !== null;
  }
}

/** A vendor's KMS certificate. */
export function certificateOf(source: Vector): KmsCertificate {
  return {
    kmsUri: source.text('KmsUri'),
    userKeyPeriod: source.number('UserKeyPeriod'),
    userKeyOffset: source.number('UserKeyOffset'),
    pubEncKey: source.hex('PubEncKey'),
    pubAuthKey: source.hex('PubAuthKey'),
  };
}

/** A vendor's key set. */
export function keySetOf(source: Vector): UserKeySet {
  return {
    userUri: source.text('UserUri'),
    uid: source.hex('UserID'),
    keyPeriodNo: source.number('KeyPeriodNo'),
    rsk: source.hex('UserDecryptKey'),
    ssk: source.hex('UserSigningKeySSK'),
    pvt: source.hex('UserPubTokenPVT'),
  };
}

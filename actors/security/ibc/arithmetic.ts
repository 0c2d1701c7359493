/**
 * The arithmetic under SAKKE, parameter set 1 (RFC 6509 appendix A): what the scheme needs of F_p, F_p^2 and the curve
 * E: y^2 = x^3 - 3x, and no more. Two backends implement it, `bigint/` (portable, the reference) and `fast/` (WebAssembly);
 * the schemes are written once, over this interface.
 *
 * The seam is coarse on purpose: a backend may keep every intermediate value in memory of its own, in a form of its own.
 *
 * Conventions
 * - A point is 257 octets, 04 || x || y, each coordinate 128 octets big-endian and below p (RFC 6508 section 4).
 * - A scalar is 1 to 128 octets, big-endian, unsigned; the backend reduces it modulo q.
 * - An element of PF_p is 128 octets, its F_p representative (RFC 6508 section 2.2: x_1 + i x_2 stands as x_2 / x_1).
 * - Results are new arrays that belong to the caller. Arguments are neither kept nor changed.
 * - Errors, {@link IbcError}: `bad-length` for a wrong size, `bad-point` for a point that is not well formed or not on
 *   the curve, `point-at-infinity` for a result that has no 257 octets, `disposed` for a handle used after `dispose()`.
 *
 * Which arguments are secret: the scalars of `mulBase` (the KMS's), r of `encapsulationPoint` and `gPow`, and the point of
 * `preparePairing` (the RSK). A table lookup by a secret digit scans the whole table or is blinded.
 *
 * An instance is synchronous and belongs to one thread. `createFastArithmetic(): SakkeArithmetic | undefined` in
 * `fast/index.ts` and `createBigintArithmetic(): SakkeArithmetic` in `bigint/index.ts` make one.
 */
export interface SakkeArithmetic {
  /** Names the backend in reports and benches: `bigint`, `wasm-simd`, `wasm-relaxed-simd`. */
  readonly name: string;

  /** [k]P, k secret. Z_T = [z_T]P and RSK = [(a + z_T)^-1]P (RFC 6508 sections 2.3.1 and 6.1.1). */
  mulBase(k: Uint8Array): Uint8Array;

  /** g^r as an element of PF_p, r secret, g = <P,P> (RFC 6508 section 6.2.1). */
  gPow(r: Uint8Array): Uint8Array;

  /** True when the 257 octets are 04 || x || y with x, y < p and y^2 = x^3 - 3x; false for anything else, of any length. */
  isOnCurve(point: Uint8Array): boolean;

  /** True when the point is on the curve and [q]point = O: it lies in the subgroup that P generates. */
  isInSubgroup(point: Uint8Array): boolean;

  /**
   * The pairing <a, b> of RFC 6508 section 3.2, nothing precomputed; symmetric. `bad-point` under the conditions of
   * `preparePairing` for a and of `pairPrepared` for b.
   */
  pair(a: Uint8Array, b: Uint8Array): Uint8Array;

  /**
   * Builds what serves every recipient of one KMS: the fixed-base table of Z_T (that of P is built once per backend).
   * Z_T must be on the curve; whether it is in the subgroup is asked with `isInSubgroup`.
   */
  prepareKms(zT: Uint8Array): KmsTable;

  /**
   * [r]([b]P + Z_T), computed as [r b mod q]P + [r]Z_T by two fixed-base combs: R_(b,T) of encapsulation and TEST of
   * decapsulation (RFC 6508 sections 6.2.1 and 6.2.2). With r = 1 it is [b]P + Z_T, the point that an RSK, K_(b,T) in the
   * RFC, is validated with (section 6.1.2).
   */
  encapsulationPoint(kms: KmsTable, b: Uint8Array, r: Uint8Array): Uint8Array;

  /**
   * The line coefficients of the Miller loop whose first argument is this point, a receiver's RSK: computed once per key,
   * then each decapsulation only evaluates them. The table is as secret as the RSK. `bad-point` when the point is not on
   * the curve or not of order q: the loop ends at [q-1]RSK, which must be -RSK, so the check costs nothing.
   */
  preparePairing(rsk: Uint8Array): PairingTable;

  /**
   * <rsk, point> with the table of rsk. `bad-point` when the point is not on the curve (RFC 6508 section 6.2.2) or has
   * y = 0: it is of order 2, no sender's R, and the line coefficients divide by y.
   */
  pairPrepared(rsk: PairingTable, point: Uint8Array): Uint8Array;

  /** Zeroes everything the backend holds; no handle or method of it works afterwards. */
  dispose(): void;
}

/** A fixed-base table of one KMS public key; made and used by the same backend instance. */
export interface KmsTable {
  /** Gives the memory back. The table is public, nothing needs zeroing. May be called twice. */
  dispose(): void;
}

/** Line coefficients of one RSK; made and used by the same backend instance. */
export interface PairingTable {
  /** Zeroes the coefficients and gives the memory back. May be called twice. */
  dispose(): void;
}

/** Sizes in octets, parameter set 1. */
export const FIELD_OCTETS = 128;
export const POINT_OCTETS = 1 + 2 * FIELD_OCTETS;

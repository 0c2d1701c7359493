import { SAKKE_P } from '../../parameters.ts';
import { montgomeryFactor } from '../radix.ts';
import { type Code, type FunctionBuilder, i32, i64, type Local, repeat, seq } from './assembler.ts';
import type { Field } from './field.ts';

/**
 * Inversion by division steps (D. Bernstein, B.-Y. Yang, "Fast constant-time gcd computation and modular inversion", CHES
 * 2019), 30 steps at a time on integers of 35 limbs of 30 bits, the top limb signed; after libsecp256k1's
 * doc/safegcd_implementation.md, with delta from 1. The number of steps is that of theorem 11.2 for 1024 bits, whatever
 * the value: neither branches nor addresses depend on it.
 */
const LIMBS = 35;
const LIMB_BITS = 30n;
const MASK = i64.const((1n << LIMB_BITS) - 1n);
/** floor((49 * 1024 + 57) / 17) division steps suffice. */
const ROUNDS = Math.ceil(Math.floor((49 * 1024 + 57) / 17) / 30);

function limbsOf(value: bigint): Uint8Array {
  const limbs = new BigInt64Array(LIMBS);
  for (let index = 0; index < LIMBS; index++)
    limbs[index] = (value >> (LIMB_BITS * BigInt(index))) & ((1n << LIMB_BITS) - 1n);
  return new Uint8Array(limbs.buffer);
}

/** invert(dst, a): the inverses of both lanes, in Montgomery form as they are; when either lane is 0, 0 in both. */
export function emitInverse(field: Field): void {
  const { layout, module } = field;
  const [product, swapped] = [field.scratch(), field.scratch()];
  const invertOctets = emitInvertOctets(field);
  const call = (name: 'toOctets' | 'fromOctets', lane: number): Code =>
    field[name].call(i32.const(product), i32.const(lane));
  const f = module.function(['i32', 'i32'], undefined, 'invert');
  const [dst, a] = [f.parameter(0).get, f.parameter(1).get];
  f.emit(
    // 1/a0 = a1 / (a0 a1) and the other way about
    field.pick(swapped, a, 1, a, 0),
    field.mul(product, a, swapped),
    field.mul(product, product, layout.one), // |product| < p, which toOctets needs
    call('toOctets', 0),
    invertOctets.call(),
    call('fromOctets', 0),
    call('fromOctets', 1),
    field.add(product, product, layout.zero),
    field.mul(dst, product, swapped),
  );
}

/** A function (): the integer a < p at layout.octets, least significant octet first, becomes R^2 / a modulo p, below 3p. */
function emitInvertOctets(field: Field): FunctionBuilder {
  const { layout, module, radix } = field;
  module.data(layout.inverse.modulus, limbsOf(SAKKE_P));
  module.data(layout.inverse.start, limbsOf(montgomeryFactor(radix) ** 2n % SAKKE_P));
  const [F, G, D, E] = [field.scratch(), field.scratch(), field.scratch(), field.scratch()];
  const f = module.function([]);
  const [index, round] = f.locals('i32', 2) as [Local, Local];
  const [eta, x, y, u, v, q, r, negate, odd, t] = f.locals('i64', 10) as [
    Local,
    Local,
    Local,
    Local,
    Local,
    Local,
    Local,
    Local,
    Local,
    Local,
  ];
  const [first, second, left, right] = f.locals('i64', 4) as [Local, Local, Local, Local];
  const limb = (base: number, offset = 0): Code => i64.load(index.get, base + offset);
  const modulus = layout.inverse.modulus;
  /** 1/p modulo 2^30. */
  const inverse = i64.const(inverseOfP());
  const combine = (a: Local, b: Local): Code => i64.add(i64.mul(a.get, left.get), i64.mul(b.get, right.get));
  const shiftOut = (sum: Local): Code => sum.set(i64.shrS(sum.get, i64.const(LIMB_BITS)));
  const masked = (value: Local, mask: Local): Code => i64.and(value.get, mask.get);
  const conditional = (value: Local, mask: Local): Code => i64.sub(i64.xor(value.get, mask.get), mask.get);

  // one division step on the low limbs x of f and y of g; (u, v, q, r) is the matrix of all steps so far, times 2^steps
  const step = seq(
    negate.set(i64.shrS(eta.get, i64.const(63n))), // delta > 0
    odd.set(i64.sub(i64.const(0n), i64.and(y.get, i64.const(1n)))),
    y.set(i64.add(y.get, i64.and(conditional(x, negate), odd.get))),
    q.set(i64.add(q.get, i64.and(conditional(u, negate), odd.get))),
    r.set(i64.add(r.get, i64.and(conditional(v, negate), odd.get))),
    negate.set(i64.and(negate.get, odd.get)),
    eta.set(i64.sub(i64.xor(eta.get, negate.get), i64.add(negate.get, i64.const(1n)))),
    x.set(i64.add(x.get, masked(y, negate))),
    u.set(i64.shl(i64.add(u.get, masked(q, negate)), i64.const(1n))),
    v.set(i64.shl(i64.add(v.get, masked(r, negate)), i64.const(1n))),
    y.set(i64.shrS(y.get, i64.const(1n))),
  );
  /** (a, b) <- matrix (a, b) / 2^30; with `modular`, after a multiple of p has made that exact. */
  const apply = (a: number, b: number, modular: boolean): Code => {
    const [pFirst, pSecond] = [x, y]; // multiples of p to add
    const reduce = (multiple: Local, sum: Local): Code =>
      seq(
        multiple.set(i64.sub(multiple.get, i64.and(i64.add(i64.mul(inverse, sum.get), multiple.get), MASK))),
        sum.set(i64.add(sum.get, i64.mul(multiple.get, i64.load(i32.const(0), modulus)))),
      );
    const signOf = (base: number): Code => i64.shrS(i64.load(i32.const(0), base + 8 * (LIMBS - 1)), i64.const(63n));
    const load = seq(left.set(limb(a)), right.set(limb(b)));
    return seq(
      modular
        ? seq(
            // a and b are in (-2p, p); adding p to the negative ones keeps them there
            left.set(signOf(a)),
            right.set(signOf(b)),
            pFirst.set(i64.add(masked(u, left), masked(v, right))),
            pSecond.set(i64.add(masked(q, left), masked(r, right))),
          )
        : [],
      index.set(i32.const(0)),
      load,
      first.set(combine(u, v)),
      second.set(combine(q, r)),
      modular ? seq(reduce(pFirst, first), reduce(pSecond, second)) : [],
      shiftOut(first),
      shiftOut(second),
      repeat(
        index,
        LIMBS - 1,
        8,
        left.set(limb(a, 8)),
        right.set(limb(b, 8)),
        first.set(i64.add(first.get, combine(u, v))),
        second.set(i64.add(second.get, combine(q, r))),
        modular
          ? seq(
              t.set(limb(modulus, 8)),
              first.set(i64.add(first.get, i64.mul(pFirst.get, t.get))),
              second.set(i64.add(second.get, i64.mul(pSecond.get, t.get))),
            )
          : [],
        i64.store(index.get, i64.and(first.get, MASK), a),
        i64.store(index.get, i64.and(second.get, MASK), b),
        shiftOut(first),
        shiftOut(second),
      ),
      i64.store(i32.const(0), first.get, a + 8 * (LIMBS - 1)),
      i64.store(i32.const(0), second.get, b + 8 * (LIMBS - 1)),
    );
  };

  const places = Array.from({ length: LIMBS }, (_, position) => ({
    octet: layout.octets + Math.floor((position * Number(LIMB_BITS)) / 8),
    bit: BigInt((position * Number(LIMB_BITS)) % 8),
    limb: 8 * position,
  }));
  f.emit(
    // f = p, g = a, d = 0, e = R^2
    ...[8 * 16, 8 * 17, 8 * 18].map((beyond) => i64.store(i32.const(0), i64.const(0n), layout.octets + beyond)),
    ...places.map(({ octet, bit, limb: offset }) =>
      i64.store(i32.const(0), i64.and(i64.shrU(i64.load(i32.const(0), octet), i64.const(bit)), MASK), G + offset),
    ),
    repeat(
      index,
      LIMBS,
      8,
      i64.store(index.get, limb(modulus), F),
      i64.store(index.get, i64.const(0n), D),
      i64.store(index.get, limb(layout.inverse.start), E),
    ),
    eta.set(i64.const(-1n)),
    repeat(
      round,
      ROUNDS,
      1,
      x.set(i64.load(i32.const(0), F)),
      y.set(i64.load(i32.const(0), G)),
      u.set(i64.const(1n)),
      v.set(i64.const(0n)),
      q.set(i64.const(0n)),
      r.set(i64.const(1n)),
      repeat(index, Number(LIMB_BITS), 1, step),
      apply(D, E, true),
      apply(F, G, false),
    ),
    // f is 1 or -1, or p when a was 0 and d is 0; the result is f d, made positive by 2p
    negate.set(i64.shrS(i64.load(i32.const(0), F + 8 * (LIMBS - 1)), i64.const(63n))),
    first.set(i64.const(0n)),
    ...Array.from({ length: 19 }, (_, word) => i64.store(i32.const(0), i64.const(0n), layout.octets + 8 * word)),
    ...places.map(({ octet, bit, limb: offset }, position) =>
      seq(
        left.set(i64.load(i32.const(0), D + offset)),
        right.set(i64.load(i32.const(0), modulus + offset)),
        first.set(i64.add(first.get, i64.add(conditional(left, negate), i64.add(right.get, right.get)))),
        i64.store(
          i32.const(0),
          i64.or(
            i64.load(i32.const(0), octet),
            i64.shl(position === LIMBS - 1 ? first.get : i64.and(first.get, MASK), i64.const(bit)),
          ),
          octet,
        ),
        shiftOut(first),
      ),
    ),
  );
  return f;
}

function inverseOfP(): bigint {
  const size = 1n << LIMB_BITS;
  let inverse = 1n;
  for (let known = 1n; known < LIMB_BITS; known *= 2n) inverse = (inverse * (2n - SAKKE_P * inverse)) % size;
  return (inverse + size) % size;
}

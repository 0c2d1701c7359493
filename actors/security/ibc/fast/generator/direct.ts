import { ODD_MULTIPLE_PAIRS } from '../layout.ts';
import { pairOctets } from '../radix.ts';
import { WINDOW_STEPS } from '../schedule.ts';
import { type Code, doWhile, type FunctionBuilder, f64x2, i32, ifThen, type Local, repeat, v128 } from './assembler.ts';
import type { Address, Field } from './field.ts';

/**
 * The Miller loop of a point met once (direct.ts): no inversions and no table, each line is evaluated where it arises.
 *
 * The running multiple V stands in weighted coordinates x = X/Z, y = Y/Z^2 (Costello, Lange, Naehrig, "Faster pairing
 * computations on curves with high-degree twists", PKC 2010, for curves y^2 = x^3 + ax): (X, Y) and (Z, Z) in
 * layout.multiple. Lines are multiplied by whatever of F_p clears their denominators, since the final power removes it;
 * vertical lines lie in F_p. The second argument (x, y) in layout.second enters as (-x, iy).
 *
 * doubleMultiple(): V becomes 2V, f in layout.f becomes f^2 times the tangent at V.
 * addMultiple(entry): V becomes V + D, f becomes f times the line through V and D; at `entry` are the lanes (x, y) of D.
 * timesMultiple(entry): f is multiplied by A + iB; after the point at `entry` are (A, A) and (B, B).
 * millerDirect(table): runs WINDOW_STEPS; the table has an entry of three such pairs for each digit of `schedule.ts`.
 */
export function emitDirect(field: Field, square: FunctionBuilder): void {
  const { layout, module, radix } = field;
  const pair = pairOctets(radix);
  const [XY, ZZ] = layout.multiple;
  const Q = layout.second;
  const scratch = (): number => field.scratch();
  const [a, b, c, d, e] = [scratch(), scratch(), scratch(), scratch(), scratch()] as const;
  const [g, h, k, l, n] = [scratch(), scratch(), scratch(), scratch(), scratch()] as const;
  const [real, imaginary, turned] = [scratch(), scratch(), scratch()] as const;

  /** A digit of lanes chosen of two pairs, at the offset `limb`. */
  type Digit = (limb: Local) => Code;
  const lanes =
    (first: Address, la: 0 | 1, second: Address, lb: 0 | 1): Digit =>
    (limb) =>
      v128.shuffle64(digit(first, limb), digit(second, limb), la, 2 + lb);
  const both = (address: Address, lane: 0 | 1): Digit => lanes(address, lane, address, lane);
  const digit = (address: Address, limb: Local): Code =>
    typeof address === 'number' ? v128.load(limb.get, address) : v128.load(i32.add(address, limb.get));
  const plus =
    (x: Digit, y: Digit): Digit =>
    (limb) =>
      f64x2.add(x(limb), y(limb));
  const minus =
    (x: Digit, y: Digit): Digit =>
    (limb) =>
      f64x2.sub(x(limb), y(limb));
  const times =
    (x: Digit, lane0: number, lane1: number): Digit =>
    (limb) =>
      f64x2.mul(x(limb), v128.const(lane0, lane1));
  /** (lane 0 of x, lane 1 of y) */
  const join =
    (x: Digit, y: Digit): Digit =>
    (limb) =>
      v128.shuffle64(x(limb), y(limb), 0, 3);
  const fTimesI: Digit = (limb) => v128.xor(lanes(layout.f, 1, layout.f, 0)(limb), v128.const(-0, 0));

  /** Code that fills pairs digit by digit in one pass, in order; sums of a few digits are made normal. */
  const passOf = (f: FunctionBuilder) => {
    const limb = f.local('i32');
    const [value, high] = f.locals('v128', 2) as [Local, Local];
    const carries = f.locals('v128', 4);
    return (sums: readonly (readonly [number, Digit])[], moves: readonly (readonly [number, Digit])[] = []): Code => [
      ...sums.flatMap((_, index) => carries[index]!.set(v128.const(0, 0))),
      ...repeat(
        limb,
        radix.limbs,
        16,
        ...sums.flatMap(([dst, sum], index) => [
          value.set(sum(limb)),
          field.storeNormal(i32.add(limb.get, i32.const(dst)), value, high, carries[index]!),
        ]),
        ...moves.map(([dst, move]) => v128.store(limb.get, move(limb), dst)),
      ),
    ];
  };

  const double = module.function([], undefined, 'doubleMultiple');
  const doublePass = passOf(double);
  double.emit(
    field.mul(a, XY, XY), // (X^2, Y^2)
    field.pick(d, ZZ, 0, XY, 1),
    field.mul(c, d, ZZ), // (Z^2, YZ)
    doublePass([
      [b, plus(both(a, 0), times(both(c, 0), 3, -3))], // (M = X^2 + 3 Z^2, N = X^2 - 3 Z^2)
      [e, plus(times(both(a, 0), 3, 1), times(both(c, 0), -3, 3))], // (L = 3 (X^2 - Z^2), M)
    ]),
    field.mul(k, b, b), // (X' = M^2, N^2)
    field.mul(e, e, d), // (LZ, MY)
    doublePass(
      [
        [g, join(lanes(XY, 0, XY, 0), minus(times(both(k, 1), 2, 2), both(k, 0)))], // (X, 2 N^2 - X')
        [h, times(lanes(b, 0, e, 1), 1, 2)], // (M, 2MY)
      ],
      [[l, lanes(e, 0, c, 1)]],
    ),
    field.mul(g, g, h), // (MX, Y')
    field.mul(l, l, Q), // (LZ x, YZ y)
    square.call(),
    doublePass(
      [
        // the tangent times 2YZ: iy - Y/Z^2 - L/(2Y) (-x - X/Z), where Y^2 = XZ N
        [real, plus(both(l, 0), both(g, 0))],
        [imaginary, times(both(l, 1), 2, 2)],
        [ZZ, times(both(a, 1), 4, 4)], // Z' = 4 Y^2
      ],
      [
        [XY, lanes(k, 0, g, 1)],
        [turned, fTimesI],
      ],
    ),
    field.mul(layout.f, layout.f, real, turned, imaginary),
  );

  const add = module.function(['i32'], undefined, 'addMultiple');
  const D = add.parameter(0).get;
  const addPass = passOf(add);
  const H = minus(both(XY, 0), both(a, 1));
  const R = minus(both(XY, 1), both(b, 0));
  const X3 = minus(both(d, 0), both(k, 0));
  add.emit(
    field.pick(a, ZZ, 0, D, 0),
    field.mul(a, a, ZZ), // (Z^2, xD Z)
    addPass([[b, join(lanes(a, 0, a, 0), H)]], [[c, lanes(D, 1, ZZ, 0)]]), // (Z^2, H = X - xD Z)
    field.mul(b, b, c), // (yD Z^2, ZH)
    addPass([
      [e, join(R, lanes(b, 1, b, 1))], // (R = Y - yD Z^2, ZH)
      [h, join(R, H)],
      [g, join(R, lanes(XY, 1, XY, 1))],
    ]),
    field.mul(d, e, h), // (R^2, W = Z H^2)
    addPass(
      [[k, join(plus(both(XY, 0), both(a, 1)), lanes(XY, 0, XY, 0))]], // (X + xD Z, X)
      [
        [c, both(d, 1)],
        [n, lanes(ZZ, 0, d, 1)],
      ],
    ),
    field.mul(k, k, c), // (W (X + xD Z), WX)
    field.mul(n, n, c), // (Z' = WZ, W^2)
    field.pick(c, b, 1, n, 1),
    field.mul(g, g, c), // (R ZH, W^2 Y)
    addPass(
      [
        [h, join(minus(both(k, 1), X3), lanes(b, 1, b, 1))], // (WX - X', ZH)
        [l, join(plus(both(D, 0), both(Q, 0)), lanes(D, 1, D, 1))], // (x + xD, yD)
      ],
      [[c, lanes(g, 0, Q, 1)]],
    ),
    field.mul(h, h, c), // (R ZH (WX - X'), ZH y)
    field.mul(e, e, l), // (R (x + xD), ZH yD)
    addPass(
      [
        // the line times ZH: iy - yD - R/(ZH) (-x - xD)
        [real, minus(both(e, 0), both(e, 1))],
        [XY, join(X3, minus(both(h, 0), both(g, 1)))],
      ],
      [
        [imaginary, both(h, 1)],
        [ZZ, both(n, 0)],
        [turned, fTimesI],
      ],
    ),
    field.mul(layout.f, layout.f, real, turned, imaginary),
  );

  const timesF = module.function(['i32'], undefined, 'timesMultiple');
  const factor = timesF.parameter(0).get;
  timesF.emit(
    field.timesI(turned, layout.f),
    field.mul(layout.f, layout.f, i32.add(factor, i32.const(pair)), turned, i32.add(factor, i32.const(2 * pair))),
  );

  // a step is 0, or 1 and the entry that is added; the function of the first two, those of A and -A, is 1
  module.data(layout.windows, Uint8Array.from(WINDOW_STEPS));
  const f = module.function(['i32'], undefined, 'millerDirect');
  const [step, chosen, entry] = f.locals('i32', 3) as [Local, Local, Local];
  f.emit(
    step.set(i32.const(0)),
    doWhile(
      i32.ne(step.tee(i32.add(step.get, i32.const(1))), i32.const(WINDOW_STEPS.length)),
      double.call(),
      ifThen(
        chosen.tee(i32.load8(step.get, layout.windows)),
        entry.set(
          i32.add(f.parameter(0).get, i32.mul(i32.sub(chosen.get, i32.const(1)), i32.const(ODD_MULTIPLE_PAIRS * pair))),
        ),
        add.call(entry.get),
        ifThen(i32.geS(chosen.get, i32.const(3)), timesF.call(entry.get)),
      ),
    ),
  );
}

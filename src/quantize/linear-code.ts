import {
  advance,
  type Code,
  constant,
  countDown,
  f32x4,
  f64x2,
  get,
  i32x4,
  type Locals,
  loop,
  narrowToBytes,
  set,
  v128,
  type WasmFunction,
  type WasmType,
  wasmFunction,
} from '../weights/wasm/assembler.ts';
import { nearestFloat16 } from '../weights/wasm/float16-code.ts';

/** The most elements that are quantised at a time: all that is known of them fits a core's second cache. */
export const MOST_ELEMENTS = 2 ** 15;

const ARRAY = 4 * MOST_ELEMENTS;

/** Where a kernel's memory has what it knows of each element, as float32, and its numbers, as bytes; then two vectors of results. */
export const at = {
  values: 0,
  /** Scale and zero point of each element's block, and what is subtracted from it; or the range of its block. */
  scales: ARRAY,
  zeros: 2 * ARRAY,
  shifts: 3 * ARRAY,
  /** What its number stands for. */
  restored: 4 * ARRAY,
  numbers: 5 * ARRAY,
  results: 5 * ARRAY + MOST_ELEMENTS + 2 ** 8,
} as const;

export const PAGES = Math.ceil((at.results + 32) / 2 ** 16);

/** The functions. Their first parameter is a number of elements, of which the next multiple of the step is done. */
export interface LinearFunctions {
  readonly memory: { readonly buffer: ArrayBuffer };
  /** The smallest and the largest of four elements each, and 0, from a place in the values on. */
  range(count: number, address: number): void;
  /** Widens the ranges from `scales` to `zeros` to an element each. */
  widenRanges(count: number, address: number): void;
  /** How many of each fourth element are infinite or NaN. */
  countNonFinite(count: number): void;
  /**
   * Numbers (v / scale + zero, between `least` and `most`), stored as bytes after `offset` is added, and what they stand for:
   * (number − `kept` · zero) · scale.
   */
  round(count: number, address: number, least: number, most: number, offset: number, kept: number): void;
  subtractShifts(count: number): void;
  roundToFloat16(count: number): void;
  /** Puts two numbers of 4 bits into a byte. */
  packNibbles(count: number): void;
  /** Sums of squares, of each second element: of what it lost, and its own. */
  addSquares(count: number): void;
}

/** A loop over elements, so many at a time, with the number of bytes of those before. The first parameter counts them. */
function overElements(
  step: number,
  locals: Locals,
  bytes: number,
  body: (place: Code) => readonly Code[],
): Code {
  const place = locals.add('i32');
  return loop(...body(get(place)), advance(place, constant(bytes)), countDown(0, step));
}

/** A function that does something with four elements at a time. */
function overFours(name: string, body: (place: Code, locals: Locals) => readonly Code[]): WasmFunction {
  return wasmFunction(name, ['i32'], (locals) => overElements(4, locals, 16, (place) => body(place, locals)));
}

const vectors = (locals: Locals) =>
  [locals.add('v128'), locals.add('v128'), locals.add('v128'), locals.add('v128')] as const;

/** A vector of sums, or of extremes, that begins with zeros. */
const accumulate = (local: number, operation: (a: Code, b: Code) => Code, value: Code): Code =>
  set(local, operation(get(local), value));

const storeResults = (low: number, high: number): Code => [
  ...v128.store(constant(0), get(low), at.results),
  ...v128.store(constant(0), get(high), at.results + 16),
];

const range = wasmFunction('range', ['i32', 'i32'], (locals) => {
  const [low, high, value] = [locals.add('v128'), locals.add('v128'), locals.add('v128')];
  return [
    ...loop(
      set(value, v128.load(get(1))),
      accumulate(low, f32x4.pmin, get(value)),
      accumulate(high, f32x4.pmax, get(value)),
      ...[advance(1, constant(16)), countDown(0, 4)],
    ),
    ...storeResults(low, high),
  ];
});

const widenRanges = wasmFunction('widenRanges', ['i32', 'i32'], (locals) =>
  overElements(4, locals, 16, (place) => [
    ...(
      [
        ['scales', f32x4.pmin],
        ['zeros', f32x4.pmax],
      ] as const
    ).map(([end, widened]) =>
      v128.store(place, widened(v128.load(place, at[end]), v128.load(get(1))), at[end]),
    ),
    advance(1, constant(16)),
  ]),
);

const countNonFinite = wasmFunction('countNonFinite', ['i32'], (locals) => {
  const [count, rest] = [locals.add('v128'), locals.add('v128')];
  return [
    ...overElements(4, locals, 16, (place) => [
      set(rest, v128.load(place)),
      set(rest, f32x4.sub(get(rest), get(rest))), // 0, or NaN
      accumulate(count, i32x4.sub, f32x4.ne(get(rest), get(rest))),
    ]),
    ...storeResults(count, count),
  ];
});

const roundParameters: readonly WasmType[] = ['i32', 'i32', 'f32', 'f32', 'f32', 'f32'];
const round = wasmFunction('round', roundParameters, (locals) => {
  const [address, least, most, offset, kept] = [1, 2, 3, 4, 5];
  const [value, scale, zero, number] = vectors(locals);
  const all = (parameter: number): Code => locals.keep(f32x4.splat(get(parameter)));
  // Of two elements: float32 would not do, as a quotient could round to the half between two numbers.
  const nearest = (which: (vector: Code) => Code): Code => {
    const quotient = f64x2.div(f32x4.promoteLow(which(get(value))), f32x4.promoteLow(which(get(scale))));
    return f64x2.demote(f64x2.floor(f64x2.add(quotient, locals.keep(f64x2.splat(0.5)))));
  };
  const upper = (vector: Code): Code =>
    v128.shuffle(vector, vector, [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15]);
  const both = v128.shuffle(
    nearest((vector) => vector),
    nearest(upper),
    [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23],
  );
  const inRange = f32x4.pmin(f32x4.pmax(f32x4.add(both, get(zero)), all(least)), all(most));
  // Beside 1.5 · 2^23, a float32's lowest bits are those of the whole number that is added.
  const asWhole = f32x4.add(f32x4.add(get(number), all(offset)), locals.keep(i32x4.splat(0x4b400000)));
  const bytes = v128.and(asWhole, locals.keep(i32x4.splat(0xff)));
  const stands = f32x4.mul(f32x4.sub(get(number), f32x4.mul(get(zero), all(kept))), get(scale));
  return overElements(4, locals, 16, (place) => [
    set(value, v128.load(place)),
    set(scale, v128.load(place, at.scales)),
    set(zero, v128.load(place, at.zeros)),
    set(number, inRange),
    v128.store(place, stands, at.restored),
    set(value, i32x4.narrow(bytes, locals.keep(v128.zero))),
    v128.storeLow(4, get(address), narrowToBytes(get(value), get(value))),
    advance(address, constant(4)),
  ]);
});

const subtractShifts = overFours('subtractShifts', (place) => [
  v128.store(place, f32x4.sub(v128.load(place, at.restored), v128.load(place, at.shifts)), at.restored),
]);

const roundToFloat16 = overFours('roundToFloat16', (place, locals) => [
  v128.store(place, nearestFloat16(locals, v128.load(place, at.restored)), at.restored),
]);

const packNibbles = wasmFunction('packNibbles', ['i32'], (locals) => {
  const [numbers, from] = [locals.add('v128'), locals.add('i32')];
  const low = v128.and(get(numbers), locals.keep(i32x4.splat(0x000f000f)));
  const high = v128.and(i32x4.shrU(get(numbers), 4), locals.keep(i32x4.splat(0x00f000f0)));
  return overElements(16, locals, 8, (place) => [
    set(numbers, v128.load(get(from), at.numbers)),
    set(numbers, v128.or(low, high)),
    v128.storeLow(8, place, narrowToBytes(get(numbers), get(numbers)), at.numbers),
    advance(from, constant(16)),
  ]);
});

const addSquares = wasmFunction('addSquares', ['i32'], (locals) => {
  const [lost, own, given, back] = vectors(locals);
  const squared = (vector: number): Code => f64x2.mul(get(vector), get(vector));
  const two = (place: Code, offset: number): readonly Code[] => [
    set(given, f32x4.promoteLow(v128.load64(place, offset))),
    set(back, f32x4.promoteLow(v128.load64(place, at.restored + offset))),
    set(back, f64x2.sub(get(given), get(back))),
    accumulate(lost, f64x2.add, squared(back)),
    accumulate(own, f64x2.add, squared(given)),
  ];
  return [
    ...overElements(4, locals, 16, (place) => [...two(place, 0), ...two(place, 8)]),
    ...storeResults(lost, own),
  ];
});

export const linearFunctions: readonly WasmFunction[] = [
  ...[range, widenRanges, countNonFinite, round],
  ...[subtractShifts, roundToFloat16, packNibbles, addSquares],
];

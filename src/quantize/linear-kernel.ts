import { compile } from '../weights/wasm/assembler.ts';
import { at, type LinearFunctions, linearFunctions, MOST_ELEMENTS, PAGES } from './linear-code.ts';
import type { WeightError } from './palette/palette.ts';

/** The whole numbers that an element can become. */
export interface NumberRange {
  readonly least: number;
  readonly most: number;
}

/** Smallest and largest number of each block; 0 is in all of them. */
export interface Ranges {
  readonly least: Float32Array;
  readonly most: Float32Array;
}

/** The loops over the elements of one weight, up to `MOST_ELEMENTS` at a time, in a memory of its own. Kernels are lent again and again. */
export class LinearKernel {
  static readonly #free: LinearKernel[] = [];
  static #instantiate: (() => LinearFunctions) | undefined;

  readonly #functions: LinearFunctions;
  readonly #values: Float32Array;
  /** Scale and zero point of each element's block, and what is subtracted from it last. */
  readonly scales: Float32Array;
  readonly zeros: Float32Array;
  readonly shifts: Float32Array;
  readonly #restored: Float32Array;
  readonly #numbers: Uint8Array;
  readonly #results: Float32Array;
  readonly #counts: Int32Array;
  readonly #sums: Float64Array;
  #count = 0;
  /** A number of 4 bits that is left of those before. */
  #half: number | undefined;

  private constructor() {
    LinearKernel.#instantiate ??= compile<LinearFunctions>(linearFunctions, PAGES);
    this.#functions = LinearKernel.#instantiate();
    const { buffer } = this.#functions.memory;
    const floats = (address: number): Float32Array => new Float32Array(buffer, address, MOST_ELEMENTS);
    this.#values = floats(at.values);
    [this.scales, this.zeros, this.shifts] = [floats(at.scales), floats(at.zeros), floats(at.shifts)];
    this.#restored = floats(at.restored);
    this.#numbers = new Uint8Array(buffer, at.numbers, MOST_ELEMENTS + 1);
    this.#results = new Float32Array(buffer, at.results, 8);
    this.#counts = new Int32Array(buffer, at.results, 4);
    this.#sums = new Float64Array(buffer, at.results, 4);
  }

  static borrow(): LinearKernel {
    return LinearKernel.#free.pop() ?? new LinearKernel();
  }

  /** Gives the kernel back; nobody may use its arrays any more. */
  return(): void {
    this.#half = undefined;
    LinearKernel.#free.push(this);
  }

  /** Takes the elements that the others are about. */
  load(values: Float32Array): void {
    this.#count = values.length;
    this.#values.set(values);
    // Four are computed at a time: those beyond the last lose nothing.
    const end = Math.min(values.length + 3, MOST_ELEMENTS);
    this.#values.fill(0, values.length, end);
    this.scales.fill(1, values.length, end);
    this.zeros.fill(0, values.length, end);
    this.shifts.fill(0, values.length, end);
  }

  /** Widens the range of one block to the elements of a run. */
  widenRange(from: number, to: number, block: number, { least, most }: Ranges): void {
    let [low, high] = [least[block] ?? 0, most[block] ?? 0];
    const whole = (to - from) & ~3;
    if (whole > 0) {
      this.#functions.range(whole, at.values + 4 * from);
      for (let lane = 0; lane < 4; lane++) {
        low = Math.min(low, this.#results[lane] ?? 0);
        high = Math.max(high, this.#results[lane + 4] ?? 0);
      }
    }
    for (let i = from + whole; i < to; i++) {
      const value = this.#values[i] ?? 0;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    least[block] = low;
    most[block] = high;
  }

  /** Widens the ranges of the blocks from `block` on, each to one element of a run. */
  widenRanges(from: number, to: number, block: number, { least, most }: Ranges): void {
    const count = to - from;
    this.scales.set(least.subarray(block, block + count));
    this.zeros.set(most.subarray(block, block + count));
    this.#functions.widenRanges(count, at.values + 4 * from);
    least.set(this.scales.subarray(0, count), block);
    most.set(this.zeros.subarray(0, count), block);
  }

  /** How many elements are infinite or NaN. */
  countNonFinite(): number {
    this.#functions.countNonFinite(this.#count);
    return this.#counts.reduce((sum, each) => sum + each, 0);
  }

  /**
   * Rounds the elements to numbers of their scales, each in the range after its zero point is added. `areScaledApart`: what they
   * stand for does not have the zero points subtracted. `offset` is added to the numbers, not to what they stand for.
   */
  round({ least, most }: NumberRange, areScaledApart: boolean, offset: number): void {
    const isHalf = this.#half !== undefined;
    if (isHalf) this.#numbers[0] = this.#half ?? 0;
    const address = at.numbers + Number(isHalf);
    this.#functions.round(this.#count, address, least, most, offset, Number(!areScaledApart));
  }

  /** Rounds what the numbers stand for to float16. */
  roundToFloat16(): void {
    this.#functions.roundToFloat16(this.#count);
  }

  subtractShifts(): void {
    this.#functions.subtractShifts(this.#count);
  }

  /** Adds what the elements lost, and their squares. */
  addError(error: { -readonly [key in keyof WeightError]: WeightError[key] }): void {
    this.#functions.addSquares(this.#count);
    const [lost = 0, lostToo = 0, own = 0, ownToo = 0] = this.#sums;
    error.squaredError += lost + lostToo;
    error.energy += own + ownToo;
  }

  /** What the numbers stand for. */
  get restored(): Float32Array {
    return this.#restored.subarray(0, this.#count);
  }

  /** The numbers, a byte each. */
  get bytes(): Uint8Array {
    return this.#numbers.subarray(0, this.#count);
  }

  /** The numbers, two of 4 bits a byte with the first in the lower half. The last one waits for those that come next if it has no other. */
  packNibbles(): Uint8Array {
    const count = this.#count + Number(this.#half !== undefined);
    this.#half = count % 2 === 1 ? this.#numbers[count - 1] : undefined;
    this.#functions.packNibbles(count);
    return this.#numbers.subarray(0, count >> 1);
  }

  /** The number that is left, as a byte; or nothing. */
  lastNibble(): Uint8Array {
    return Uint8Array.from(this.#half === undefined ? [] : [this.#half & 15]);
  }
}

/** Puts the values of the blocks of a run's elements, from `first` on, where `into` has those of its elements. */
export function spread(
  values: Float32Array,
  into: Float32Array,
  {
    from,
    to,
    first,
    step,
  }: { readonly from: number; readonly to: number; readonly first: number; readonly step: 0 | 1 },
): void {
  if (step === 0) into.fill(values[first] ?? 0, from, to);
  else into.set(values.subarray(first, first + to - from), from);
}

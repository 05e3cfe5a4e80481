import { borrowBlock, returnBlocks } from '../io/block-pool.ts';
import { blockConverter, float16Bits, float16Value } from '../weights/convert-dtype.ts';
import { BlockIndex } from './block-index.ts';
import type { FloatTensor } from './float-tensor.ts';
import type { WeightError } from './palette/palette.ts';
import { notFinite } from './palette/palettized-weight.ts';
import { MOST_VALUES, stretches } from './stretches.ts';

/** Options of linear quantisation. */
export interface LinearOptions {
  readonly bits: 4 | 8;
  /** Whether zero is the middle of the range (−127 … 127, −7 … 7); else the range is where the weights are, and starts at 0. */
  readonly symmetric: boolean;
  /** Elements that share a scale, along each axis. */
  readonly blockShape: readonly number[];
  /** Dtype of the scales, and of the runtime's arithmetic. */
  readonly dtype: 'f16' | 'f32';
  /** Whether the runtime gives back q · scale − zero · scale, each product rounded, instead of (q − zero) · scale. */
  readonly scalesApart?: boolean | undefined;
}

/** Scale and zero point of each block, in row-major order. */
export interface LinearParameters {
  readonly scales: Float32Array;
  /** Whole numbers; all 0 where symmetric. */
  readonly zeros: Float32Array;
}

/**
 * A weight as whole numbers of 4 or 8 bits with a scale for each block, from its smallest to its largest number (uniform
 * quantisation as in Jacob et al., 2018). It is read once for the scales and once for the numbers, a stretch at a time. Few
 * scales are kept in between; those of small blocks, which add up to more than a network's memory, are found anew.
 */
export class LinearWeight {
  readonly #tensor: FloatTensor;
  readonly #options: LinearOptions;
  readonly #index: BlockIndex;
  #parameters: Promise<LinearParameters> | undefined;
  /** Error, counted while the weight was quantised. */
  #error: WeightError | undefined;

  constructor(tensor: FloatTensor, options: LinearOptions) {
    this.#tensor = tensor;
    this.#options = options;
    this.#index = new BlockIndex(tensor.shape, options.blockShape);
  }

  /** Number of blocks along each axis. */
  get blockCounts(): readonly number[] {
    return this.#index.counts;
  }

  /** Throws `FileFormatError` for infinities and NaNs, and what reading throws. */
  parameters(): Promise<LinearParameters> {
    if (this.#index.total > MOST_KEPT) return this.#measure();
    this.#parameters ??= this.#measure();
    return this.#parameters;
  }

  /** The numbers as bytes, or two of 4 bits a byte with the first in the lower half; `offset` is added to each. */
  async *data(offset = 0): AsyncGenerator<Uint8Array> {
    const { bits } = this.#options;
    const into = borrowBlock();
    let half: number | undefined;
    try {
      for await (const { numbers } of this.#quantized()) {
        if (bits === 8) yield into.subarray(0, packBytes(numbers, offset, into));
        else {
          const packed = packNibbles(numbers, offset, into, half);
          half = packed.half;
          yield into.subarray(0, packed.written);
        }
      }
      if (half !== undefined) yield Uint8Array.of(half);
    } finally {
      returnBlocks(into);
    }
  }

  /** The elements as the runtime gives them back, a block at a time: views of one reused buffer. */
  async *values(): AsyncGenerator<Float32Array> {
    for await (const { restored } of this.#quantized()) yield restored;
  }

  /** The scales as bytes of the dtype. */
  async scales(): Promise<Uint8Array> {
    const { scales } = await this.parameters();
    const stored = this.#options.dtype === 'f16' ? Uint16Array.from(scales, float16Bits) : scales;
    return new Uint8Array(stored.buffer);
  }

  /** The zero points as bytes, or two of 4 bits a byte; every `perRow` of them begin on a byte. */
  async zeros(perRow?: number): Promise<Uint8Array> {
    const { zeros } = await this.parameters();
    if (this.#options.bits === 8) return Uint8Array.from(zeros);
    const row = perRow ?? zeros.length;
    const rowBytes = Math.ceil(row / 2);
    return Uint8Array.from({ length: (zeros.length / row) * rowBytes }, (_, byte) => {
      const inRow = 2 * (byte % rowBytes);
      const first = Math.floor(byte / rowBytes) * row + inRow;
      return (zeros[first] ?? 0) | ((inRow + 1 < row ? (zeros[first + 1] ?? 0) : 0) << 4);
    });
  }

  /** Computes the error, including the rounding of the runtime. */
  async error(): Promise<WeightError> {
    for await (const _ of this.#error ? [] : this.#quantized());
    return this.#error ?? { squaredError: 0, energy: 0 };
  }

  async #measure(): Promise<LinearParameters> {
    const least = new Float32Array(this.#index.total);
    const most = new Float32Array(this.#index.total);
    let nonFinite = 0;
    for await (const { values, position } of stretches(this.#tensor)) {
      this.#index.eachRun(position, values.length, (from, to, block, step) => {
        if (step === 0) widenRange(values, from, to, block, { least, most });
        else widenRanges(values, from, to, block, { least, most });
      });
      nonFinite += countNonFinite(values);
    }
    if (nonFinite > 0) throw notFinite(this.#tensor.name, nonFinite);
    return this.#parametersOf(least, most);
  }

  #parametersOf(least: Float32Array, most: Float32Array): LinearParameters {
    const { bits, symmetric } = this.#options;
    const [scales, zeros] = [new Float32Array(least.length), new Float32Array(least.length)];
    for (let block = 0; block < scales.length; block++) {
      const [low, high] = [least[block] ?? 0, most[block] ?? 0];
      const range = symmetric ? Math.max(-low, high) / (2 ** (bits - 1) - 1) : (high - low) / (2 ** bits - 1);
      const scale = range === 0 ? 1 : Math.max(this.#rounded(range), SMALLEST_SCALE);
      scales[block] = scale;
      zeros[block] = symmetric ? 0 : Math.min(Math.round(-low / scale), 2 ** bits - 1);
    }
    return { scales, zeros };
  }

  async *#quantized(): AsyncGenerator<{
    readonly numbers: Int16Array;
    readonly restored: Float32Array;
  }> {
    const { bits, symmetric, dtype, scalesApart } = this.#options;
    const parameters = await this.parameters();
    const shifts = scalesApart && this.#shiftsOf(parameters);
    const most = symmetric ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
    const least = symmetric ? -most : 0;
    const [buffer, floats] = [new Int16Array(MOST_VALUES), new Float32Array(MOST_VALUES)];
    const roundAll = dtype === 'f16' ? float16Rounding() : () => {};
    const error = { squaredError: 0, energy: 0 };
    for await (const { values, position } of stretches(this.#tensor)) {
      const numbers = buffer.subarray(0, values.length);
      const restored = floats.subarray(0, values.length);
      const rounding = { values, numbers, restored, least, most };
      this.#index.eachRun(position, values.length, (from, to, block, step) => {
        roundRun(rounding, from, to, block, step, parameters);
      });
      if (shifts) {
        this.#scale(numbers, restored, position, parameters);
        roundAll(restored);
        this.#shift(restored, position, shifts);
      }
      roundAll(restored);
      addError(error, values, restored);
      yield { numbers, restored };
    }
    this.#error = error;
  }

  /** What is subtracted of each block where numbers and zero points are scaled apart. */
  #shiftsOf({ scales, zeros }: LinearParameters): Float32Array {
    return zeros.map((zero, block) => this.#rounded(zero * (scales[block] ?? 1)));
  }

  #scale(numbers: Int16Array, into: Float32Array, position: number, { scales }: LinearParameters): void {
    this.#index.eachRun(position, numbers.length, (from, to, block, step) => {
      for (let i = from; i < to; i++) into[i] = (numbers[i] ?? 0) * (scales[block + step * (i - from)] ?? 1);
    });
  }

  #shift(values: Float32Array, position: number, shifts: Float32Array): void {
    this.#index.eachRun(position, values.length, (from, to, block, step) => {
      for (let i = from; i < to; i++) values[i] = (values[i] ?? 0) - (shifts[block + step * (i - from)] ?? 0);
    });
  }

  #rounded(value: number): number {
    return this.#options.dtype === 'f16' ? float16Value(float16Bits(value)) : Math.fround(value);
  }
}

// Loops over elements are functions of their own: inside a generator they would take twice the time.

interface Ranges {
  /** Smallest and largest number of each block; 0 is in all of them. */
  readonly least: Float32Array;
  readonly most: Float32Array;
}

/** Widens the range of one block to the elements of a run: a fifth faster than in a loop for both kinds of runs. */
function widenRange(
  values: Float32Array,
  from: number,
  to: number,
  block: number,
  { least, most }: Ranges,
): void {
  let [low, high] = [least[block] ?? 0, most[block] ?? 0];
  for (let i = from; i < to; i++) {
    const value = values[i] ?? 0;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  least[block] = low;
  most[block] = high;
}

/** Widens the ranges of the blocks from `block` on, each to one element of a run. */
function widenRanges(
  values: Float32Array,
  from: number,
  to: number,
  block: number,
  { least, most }: Ranges,
): void {
  const first = block - from;
  for (let i = from; i < to; i++) {
    const value = values[i] ?? 0;
    if (value < (least[first + i] ?? 0)) least[first + i] = value;
    if (value > (most[first + i] ?? 0)) most[first + i] = value;
  }
}

/** How many numbers are infinite or NaN. */
function countNonFinite(values: Float32Array): number {
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    if (value - value !== 0) count++;
  }
  return count;
}

interface Rounding {
  readonly values: Float32Array;
  /** Each element's whole number in the range, and what that stands for. */
  readonly numbers: Int16Array;
  readonly restored: Float32Array;
  readonly least: number;
  readonly most: number;
}

/** Rounds the elements of a run. */
function roundRun(
  { values, numbers, restored, least, most }: Rounding,
  from: number,
  to: number,
  first: number,
  step: 0 | 1,
  { scales, zeros }: LinearParameters,
): void {
  for (let i = from; i < to; i++) {
    const block = first + step * (i - from);
    const scale = scales[block] ?? 1;
    const zero = zeros[block] ?? 0;
    // As Math.round, which takes five times as long: quotients of float32 numbers are not as near below ½ that the sum would round up.
    const number = (Math.floor((values[i] ?? 0) / scale + 0.5) + zero) | 0;
    const inRange = number > most ? most : number < least ? least : number;
    numbers[i] = inRange;
    restored[i] = (inRange - zero) * scale;
  }
}

/** Writes each number as a byte; gives how many. */
function packBytes(numbers: Int16Array, offset: number, into: Uint8Array): number {
  for (let i = 0; i < numbers.length; i++) into[i] = (numbers[i] ?? 0) + offset;
  return numbers.length;
}

/** Writes two numbers a byte, after the half of one that is left from before; gives the bytes written and the half that is left. */
function packNibbles(
  numbers: Int16Array,
  offset: number,
  into: Uint8Array,
  before: number | undefined,
): { readonly written: number; readonly half: number | undefined } {
  let [written, at] = [0, 0];
  const nibble = (i: number): number => ((numbers[i] ?? 0) + offset) & 15;
  if (before !== undefined && numbers.length > 0) into[written++] = before | (nibble(at++) << 4);
  for (; at + 1 < numbers.length; at += 2) into[written++] = nibble(at) | (nibble(at + 1) << 4);
  const half = at < numbers.length ? nibble(at) : numbers.length > 0 ? undefined : before;
  return { written, half };
}

function addError(
  error: { squaredError: number; energy: number },
  values: Float32Array,
  restored: Float32Array,
): void {
  let [squaredError, energy] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    const lost = value - (restored[i] ?? 0);
    squaredError += lost * lost;
    energy += value * value;
  }
  error.squaredError += squaredError;
  error.energy += energy;
}

/** Rounds float32 numbers to float16, in place. */
function float16Rounding(): (values: Float32Array) => void {
  const [toFloat16, back] = [blockConverter('f32', 'f16'), blockConverter('f16', 'f32')];
  const buffer = new Uint8Array(MOST_VALUES * 2);
  return (values) => {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const codes = buffer.subarray(0, values.length * 2);
    toFloat16?.(bytes, codes);
    back?.(codes, bytes);
  };
}

/** The most scales of a weight that are kept. */
const MOST_KEPT = 2 ** 14;

/** The smallest float16 above 0. */
const SMALLEST_SCALE = 2 ** -24;

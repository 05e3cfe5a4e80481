import { float16Bits, float16Value } from '../weights/convert-dtype.ts';
import { BlockIndex } from './block-index.ts';
import type { FloatTensor } from './float-tensor.ts';
import { MOST_ELEMENTS } from './linear-code.ts';
import { LinearKernel, spread } from './linear-kernel.ts';
import type { WeightError } from './palette/palette.ts';
import { notFinite } from './palette/palettized-weight.ts';
import { stretches } from './stretches.ts';

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
    const kernel = LinearKernel.borrow();
    try {
      for await (const _ of this.#quantized(kernel, offset))
        yield this.#options.bits === 8 ? kernel.bytes : kernel.packNibbles();
      yield kernel.lastNibble();
    } finally {
      kernel.return();
    }
  }

  /** The elements as the runtime gives them back, a block at a time: views of one reused buffer. */
  async *values(): AsyncGenerator<Float32Array> {
    const kernel = LinearKernel.borrow();
    try {
      for await (const _ of this.#quantized(kernel)) yield kernel.restored;
    } finally {
      kernel.return();
    }
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
    if (!this.#error) for await (const _ of this.values());
    return this.#error ?? { squaredError: 0, energy: 0 };
  }

  async #measure(): Promise<LinearParameters> {
    const least = new Float32Array(this.#index.total);
    const most = new Float32Array(this.#index.total);
    let nonFinite = 0;
    const kernel = LinearKernel.borrow();
    try {
      for await (const { values, position } of stretches(this.#tensor, MOST_ELEMENTS)) {
        kernel.load(values);
        this.#index.eachRun(position, values.length, (from, to, block, step) => {
          if (step === 0) kernel.widenRange(from, to, block, { least, most });
          else kernel.widenRanges(from, to, block, { least, most });
        });
        nonFinite += kernel.countNonFinite();
      }
    } finally {
      kernel.return();
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

  /** Quantises the elements with a kernel, some at a time. */
  async *#quantized(kernel: LinearKernel, offset = 0): AsyncGenerator<void> {
    const { bits, symmetric, dtype, scalesApart = false } = this.#options;
    const { scales, zeros } = await this.parameters();
    const shifts = scalesApart && this.#shiftsOf({ scales, zeros });
    const most = symmetric ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
    const range = { least: symmetric ? -most : 0, most };
    const error = { squaredError: 0, energy: 0 };
    for await (const { values, position } of stretches(this.#tensor, MOST_ELEMENTS)) {
      kernel.load(values);
      this.#index.eachRun(position, values.length, (from, to, first, step) => {
        const run = { from, to, first, step };
        spread(scales, kernel.scales, run);
        spread(zeros, kernel.zeros, run);
        if (shifts) spread(shifts, kernel.shifts, run);
      });
      kernel.round(range, scalesApart, offset);
      if (shifts) {
        if (dtype === 'f16') kernel.roundToFloat16();
        kernel.subtractShifts();
      }
      if (dtype === 'f16') kernel.roundToFloat16();
      kernel.addError(error);
      yield;
    }
    this.#error = error;
  }

  /** What is subtracted of each block where numbers and zero points are scaled apart. */
  #shiftsOf({ scales, zeros }: LinearParameters): Float32Array {
    return zeros.map((zero, block) => this.#rounded(zero * (scales[block] ?? 1)));
  }

  #rounded(value: number): number {
    return this.#options.dtype === 'f16' ? float16Value(float16Bits(value)) : Math.fround(value);
  }
}

/** The most scales of a weight that are kept. */
const MOST_KEPT = 2 ** 14;

/** The smallest float16 above 0. */
const SMALLEST_SCALE = 2 ** -24;

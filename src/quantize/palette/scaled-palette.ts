import { float16Bits, float16Value } from '../../weights/convert-dtype.ts';
import { byteSize } from '../../weights/dtype.ts';
import { BlockIndex } from '../block-index.ts';
import type { FloatTensor } from '../float-tensor.ts';
import { MOST_VALUES, stretches } from '../stretches.ts';
import { float16Values } from './float16-values.ts';
import { type PaletteBits, paletteIndices, type WeightError } from './palette.ts';
import { notFinite, PalettizedWeight } from './palettized-weight.ts';

/**
 * A weight whose channels are scaled to −1 … 1 before they share a palette; otherwise channels of small numbers would have
 * only its few entries around zero. Reading takes one pass more, for the scales, which are kept.
 */
export class ScaledPaletteWeight {
  /** The scaled channels, palettized. */
  readonly palettized: PalettizedWeight;
  readonly #tensor: FloatTensor;
  readonly #index: BlockIndex;
  #scales: Promise<Float32Array> | undefined;

  constructor(tensor: FloatTensor, channelAxis: number, bits: PaletteBits) {
    this.#tensor = tensor;
    this.#index = new BlockIndex(
      tensor.shape,
      tensor.shape.map((size, axis) => (axis === channelAxis ? 1 : size)),
    );
    const byteLength = byteSize(tensor.shape, 'f32');
    const scaled: FloatTensor = { ...tensor, dtype: 'f32', byteLength, stream: () => this.#scaled() };
    this.palettized = new PalettizedWeight(scaled, { bits, groups: 1 });
  }

  /** The scale of each channel: its largest magnitude, as float16. Throws `NonFiniteWeightError` for infinities and NaNs. */
  scales(): Promise<Float32Array> {
    this.#scales ??= this.#largest();
    return this.#scales;
  }

  /** Computes the error, with every product rounded to float16. */
  async error(): Promise<WeightError> {
    let [squaredError, energy] = [0, 0];
    for await (const { values, restored } of this.#restored()) {
      for (let i = 0; i < values.length; i++) {
        const value = values[i] ?? 0;
        squaredError += (value - (restored[i] ?? 0)) ** 2;
        energy += value ** 2;
      }
    }
    return { squaredError, energy };
  }

  /** The elements as palette and scales give them back, rounded to float16, a block at a time: views of one reused buffer. */
  async *values(): AsyncGenerator<Float32Array> {
    for await (const { restored } of this.#restored()) yield restored;
  }

  async *#restored(): AsyncGenerator<{ readonly values: Float32Array; readonly restored: Float32Array }> {
    const [scales, [palette]] = [await this.scales(), await this.palettized.palettes()];
    if (!palette) throw new Error(`${this.#tensor.name} has no palette`);
    const [indices, numbers] = [paletteIndices(palette), float16Values()];
    const buffer = new Float32Array(MOST_VALUES);
    for await (const { values, position } of stretches(this.#tensor)) {
      const restored = buffer.subarray(0, values.length);
      this.#index.eachRun(position, values.length, (from, to, channel, step) => {
        for (let i = from; i < to; i++) {
          const scale = scales[channel + step * (i - from)] ?? 1;
          const code = float16Bits(Math.fround((values[i] ?? 0) / scale));
          const entry = palette.entries[indices[code] ?? 0] ?? 0;
          restored[i] = numbers[float16Bits(entry * scale)] ?? 0;
        }
      });
      yield { values, restored };
    }
  }

  async #largest(): Promise<Float32Array> {
    const largest = new Float32Array(this.#index.total);
    let nonFinite = 0;
    for await (const { values, position } of stretches(this.#tensor)) {
      this.#index.eachRun(position, values.length, (from, to, first, step) => {
        for (let i = from; i < to; i++) {
          const [magnitude, channel] = [Math.abs(values[i] ?? 0), first + step * (i - from)];
          if (magnitude > (largest[channel] ?? 0)) largest[channel] = magnitude;
          if (!(magnitude <= LARGEST_FLOAT16)) nonFinite++;
        }
      });
    }
    if (nonFinite > 0) throw notFinite(this.#tensor.name, nonFinite);
    return largest.map((each) => float16Value(float16Bits(each)) || 1);
  }

  async *#scaled(): AsyncGenerator<Uint8Array> {
    const scales = await this.scales();
    for await (const { values, position } of stretches(this.#tensor)) {
      const scaled = new Float32Array(values.length);
      this.#index.eachRun(position, values.length, (from, to, channel, step) => {
        for (let i = from; i < to; i++)
          scaled[i] = (values[i] ?? 0) / (scales[channel + step * (i - from)] ?? 1);
      });
      yield new Uint8Array(scaled.buffer);
    }
  }
}

const LARGEST_FLOAT16 = 65504;

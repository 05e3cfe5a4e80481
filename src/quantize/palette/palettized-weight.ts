import { NonFiniteWeightError } from '../../errors.ts';
import { borrowBlock, returnBlocks } from '../../io/block-pool.ts';
import { BLOCK_BYTES } from '../../io/bytes.ts';
import { shellWord } from '../../io/shell-word.ts';
import { count } from '../../text.ts';
import { elementCount } from '../../weights/dtype.ts';
import { type FloatTensor, float16Codes } from '../float-tensor.ts';
import { MOST_VALUES } from '../stretches.ts';
import { findPalette, MOST_SOUGHT } from './find-palette.ts';
import { borrowHistogram, returnHistogram } from './histogram.ts';
import { IndexPacker } from './pack-indices.ts';
import {
  type Palette,
  type PaletteBits,
  type PaletteStorage,
  tabulate,
  type WeightError,
} from './palette.ts';

/** Options of palettization. */
export interface PaletteOptions {
  readonly bits: PaletteBits;
  /** Number of palettes; each serves an equal stretch of the elements. */
  readonly groups: number;
  /** How palettes are stored; as float16 numbers when left out. */
  readonly storage?: PaletteStorage | undefined;
}

/**
 * Palettizes a tensor. Always the same weight for the same bytes and options: targets that store it in different ways search its
 * palettes once. An error then has the name that the tensor has in the first of them.
 */
export function palettize(tensor: FloatTensor, options: PaletteOptions): PalettizedWeight {
  const key = [tensor.dtype, options.bits, options.groups, options.storage].join(' ');
  const known = palettized.get(tensor.stream) ?? new Map<string, PalettizedWeight>();
  const weight = known.get(key) ?? new PalettizedWeight(tensor, options);
  palettized.set(tensor.stream, known.set(key, weight));
  return weight;
}

const palettized = new WeakMap<FloatTensor['stream'], Map<string, PalettizedWeight>>();

/**
 * A weight as palettes and indices. It is read twice, a block at a time: once to count its numbers, from which the palettes
 * are computed (once, when first needed), and once to write each number's index. Float32 numbers are rounded to float16 first.
 */
export class PalettizedWeight {
  readonly #tensor: FloatTensor;
  readonly #options: PaletteOptions;
  #palettes: Promise<readonly Palette[]> | undefined;

  constructor(tensor: FloatTensor, options: PaletteOptions) {
    this.#tensor = tensor;
    this.#options = options;
  }

  /** The palettes in the order of their stretches. Throws `NonFiniteWeightError` for infinities and NaNs, and what reading throws. */
  palettes(): Promise<readonly Palette[]> {
    this.#palettes ??= this.#compute();
    return this.#palettes;
  }

  /** Starts computing the palettes. A failure is thrown where they are used. */
  prepare(): void {
    this.palettes().catch(() => {});
  }

  /** Computes the error over all stretches. */
  async error(): Promise<WeightError> {
    const sum = { squaredError: 0, energy: 0, optimum: 0 };
    for (const { squaredError, energy, optimum } of await this.palettes()) {
      sum.squaredError += squaredError;
      sum.energy += energy;
      sum.optimum += optimum;
    }
    return sum;
  }

  /**
   * The indices packed as `IndexPacker` does. With `part`, only so many of each index's bits: two bits from the fourth on, say.
   */
  async *indices(
    part: { readonly from: number; readonly bits: PaletteBits } = { from: 0, bits: this.#options.bits },
  ): AsyncGenerator<Uint8Array> {
    const packer = new IndexPacker(part.bits);
    const mask = (1 << part.bits) - 1;
    const [table, packed] = [borrowBlock(), borrowBlock()];
    try {
      for await (const codes of this.#lookedUp(table, (index) => (index >> part.from) & mask)) {
        for (let at = 0; at < codes.length; at += BLOCK_BYTES - 8)
          yield packed.subarray(0, packer.pack(codes.subarray(at, at + BLOCK_BYTES - 8), table, packed));
      }
      yield packed.subarray(0, packer.finish(packed));
    } finally {
      returnBlocks(table, packed);
    }
  }

  /** The elements as the palettes give them back, a block at a time: views of one reused buffer. */
  async *values(): AsyncGenerator<Float32Array> {
    const [table, buffer] = [new Float32Array(0x10000), new Float32Array(MOST_VALUES)];
    for await (const codes of this.#lookedUp(table, (index, { entries }) => entries[index] ?? 0)) {
      for (let at = 0; at < codes.length; at += MOST_VALUES) {
        const values = buffer.subarray(0, Math.min(MOST_VALUES, codes.length - at));
        for (let i = 0; i < values.length; i++) values[i] = table[codes[at + i] ?? 0] ?? 0;
        yield values;
      }
    }
  }

  /** The elements' codes; `table` has for each code what `of` makes of its nearest entry in the palette of the group. */
  async *#lookedUp(
    table: Uint8Array | Float32Array,
    of: (index: number, palette: Palette) => number,
  ): AsyncGenerator<Uint16Array> {
    const palettes = await this.palettes();
    let known: number | undefined;
    for await (const { group, codes } of this.#stretches()) {
      if (known !== group) {
        const palette = palettes[group];
        if (!palette) throw new Error(`${this.#tensor.name} has no palette ${group}`);
        tabulate(palette, table, (index) => of(index, palette));
        known = group;
      }
      yield codes;
    }
  }

  async #compute(): Promise<readonly Palette[]> {
    const { bits, groups, storage = 'float16' } = this.#options;
    let histogram = borrowHistogram();
    const palettes: Promise<Palette>[] = [];
    let group = 0;
    const finish = async (): Promise<void> => {
      const counted = histogram;
      if (counted.nonFinite > 0) throw notFinite(this.#tensor.name, counted.nonFinite);
      const found = findPalette(counted, { bits, storage, oneOfMany: groups > 1 });
      const palette = found.finally(() => returnHistogram(counted));
      palette.catch(() => {}); // awaited below; a failure before that must not count as unhandled
      palettes.push(palette);
      // Numbers that wait for a thread fill the memory.
      await palettes[palettes.length - MOST_SOUGHT];
    };
    for await (const stretch of this.#stretches()) {
      if (stretch.group !== group) {
        await finish();
        histogram = borrowHistogram();
      }
      group = stretch.group;
      histogram.add(stretch.codes);
    }
    await finish();
    if (palettes.length !== groups)
      throw new Error(`${this.#tensor.name} gave ${palettes.length} of ${groups} stretches`);
    return Promise.all(palettes);
  }

  /** The elements block by block, cut where a group ends. */
  async *#stretches(): AsyncGenerator<{ readonly group: number; readonly codes: Uint16Array }> {
    const length = elementCount(this.#tensor.shape) / this.#options.groups;
    let position = 0;
    for await (const codes of float16Codes(this.#tensor)) {
      for (let at = 0; at < codes.length; ) {
        const group = Math.floor(position / length);
        const taken = Math.min(codes.length - at, (group + 1) * length - position);
        yield { group, codes: codes.subarray(at, at + taken) };
        at += taken;
        position += taken;
      }
    }
  }
}

/** The error for a weight that holds infinities or NaNs, or numbers beyond float16's 65504. */
export function notFinite(name: string, found: number): NonFiniteWeightError {
  return new NonFiniteWeightError({
    problem: `${name} cannot be quantised: ${count(found, 'element')} of it ${found === 1 ? 'is' : 'are'} infinite or NaN in float16.`,
    advice: `The model may be damaged. To keep this weight as it is: sdconvert quantize … --skip-weights ${shellWord(name)}`,
  });
}

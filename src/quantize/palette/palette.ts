import { float16Bits, float16Value } from '../../weights/convert-dtype.ts';
import { ascendingCodes, float16Values, SIGN_BIT } from './float16-values.ts';
import type { DistinctNumbers } from './histogram.ts';
import { optimalKMeans } from './optimal-kmeans.ts';

/** The widths in bits that the indices into a palette can have. */
export const paletteBits = [1, 2, 3, 4, 6, 8] as const;

export type PaletteBits = (typeof paletteBits)[number];

/** Error of a compressed weight. */
export interface WeightError {
  /** Σ(w − ŵ)² over all elements. */
  readonly squaredError: number;
  /** Σw². */
  readonly energy: number;
  /** The least squared error that palettes of this size leave, before their entries are rounded to what can be stored. */
  readonly optimum?: number;
}

/** The numbers that approximate all elements of a tensor. */
export interface Palette extends WeightError {
  /** [2^bits], float16 numbers, ascending; unused entries are 0, at the end. */
  readonly entries: Float64Array;
  /** Unit of which the entries are whole multiples; 1 where they are stored as float16. */
  readonly scale: number;
  /** Number of entries in use. */
  readonly used: number;
  readonly optimum: number;
}

/** How the entries of a palette are stored: as float16 numbers, or as whole numbers of 8 bits times a scale. */
export type PaletteStorage = 'float16' | 'int8';

/** Rounds the entries of a palette, ascending, to numbers that can be stored; two that become equal are one. */
type RoundEntries = (centres: Float64Array) => Pick<Palette, 'entries' | 'scale'>;

/**
 * The palette of 2^bits numbers with the least squared error there is, rounded to what can be stored; each element
 * then stands for the nearest entry, and the error is counted after rounding. Exact where there are no more distinct
 * numbers than entries.
 */
export function optimalPalette(
  { values, counts }: DistinctNumbers,
  bits: PaletteBits,
  storage: PaletteStorage = 'float16',
): Palette {
  const { ends, centres } = optimalKMeans(values, counts, 2 ** bits);
  const { entries: rounded, scale } = rounding[storage](centres);
  const entries = new Float64Array(2 ** bits);
  entries.set(rounded);
  let [optimum, squaredError, energy] = [0, 0, 0];
  let [cluster, nearest] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    const count = counts[i] ?? 0;
    if (i === ends[cluster]) cluster++;
    nearest = nearestEntry(rounded, value, nearest);
    optimum += count * (value - (centres[cluster] ?? 0)) ** 2;
    squaredError += count * (value - (rounded[nearest] ?? 0)) ** 2;
    energy += count * value ** 2;
  }
  return { entries, scale, used: rounded.length, optimum, squaredError, energy };
}

/** Index of the nearest entry for each of the 65,536 float16 codes; 0 for infinities and NaNs. */
export function paletteIndices(palette: Palette): Uint8Array {
  const indices = new Uint8Array(0x10000);
  tabulate(palette, indices, (index) => index);
  return indices;
}

/** Gives each of the 65,536 float16 codes, in `table`, what `of` makes of the index of its nearest entry; infinities and NaNs are left out. */
export function tabulate(
  { entries, used }: Palette,
  table: Uint8Array | Float32Array,
  of: (index: number) => number,
): void {
  const [codes, numbers] = [ascendingCodes(), float16Values()];
  let at = 0;
  for (let index = 0; index < used; index++) {
    const next = index + 1;
    const isPast = (position: number) =>
      next < used && isNearer(entries, next, index, numbers[codes[position] ?? 0] ?? 0);
    const [end, value] = [firstFrom(at, codes.length, isPast), of(index)];
    for (; at < end; at++) table[codes[at] ?? 0] = value;
  }
  table[SIGN_BIT] = table[0] ?? 0; // −0
}

/** The first position from `start` on where a monotonic condition holds; `end` where there is none. */
function firstFrom(start: number, end: number, holds: (position: number) => boolean): number {
  let [low, high] = [start, end];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The nearest of ascending entries, from `start` on, for a value that is not nearer to one before; of two, the first. */
function nearestEntry(entries: Float64Array, value: number, start: number): number {
  let at = start;
  while (at + 1 < entries.length && isNearer(entries, at + 1, at, value)) at++;
  return at;
}

function isNearer(entries: Float64Array, candidate: number, current: number, value: number): boolean {
  return Math.abs((entries[candidate] ?? 0) - value) < Math.abs((entries[current] ?? 0) - value);
}

const roundToFloat16: RoundEntries = (centres) => ({ entries: centres.map(nearestFloat16), scale: 1 });

function nearestFloat16(value: number): number {
  return float16Value(float16Bits(value));
}

/** Rounds to the 255 multiples of a float16 scale that 8 signed bits reach. */
const roundToInt8: RoundEntries = (centres) => {
  const largest = centres.reduce((most, centre) => Math.max(most, Math.abs(centre)), 0);
  const scale = largest === 0 ? 1 : Math.max(nearestFloat16(largest / 127), SMALLEST);
  const whole = centres.map((centre) => Math.max(-127, Math.min(127, Math.round(centre / scale))));
  return { entries: Float64Array.from(new Set(whole), (each) => nearestFloat16(each * scale)), scale };
};

/** The smallest float16 number above 0. */
const SMALLEST = 2 ** -24;

const rounding: { readonly [S in PaletteStorage]: RoundEntries } = {
  float16: roundToFloat16,
  int8: roundToInt8,
};

import { blockConverter } from '../../weights/convert-dtype.ts';
import { byteWidth, type DType } from '../../weights/dtype.ts';
import type { Weight } from '../../weights/weight.ts';
import type { MatrixRows } from './matrix-product.ts';
import type { Change, Magnitude } from './module-change.ts';
import { notComputed } from './not-computed.ts';
import { openChange, readFinite, readScale } from './open-change.ts';
import { borrowBytes, returnBytes, rowBlocks, rowsPerBlock } from './row-blocks.ts';
import { summedWeight } from './summed-weight.ts';

/**
 * Adds a LoRA's change, multiplied by `strength`, to a weight. The sum is computed in float32 as the weight streams, a
 * block of rows at a time, and rounded once to the requested dtype. Memory holds the factors of this change and a few
 * blocks. Streaming throws `FileFormatError` for factors that are not finite.
 */
export function mergedWeight(base: Weight, change: Change, strength: number): Weight {
  const [matrix] = change.matrices;
  if (change.kind === 'difference' && matrix) return summedWeight(base, matrix.down, strength);
  return { ...base, stream: (dtype) => streamMerged(base, change, strength, dtype) };
}

async function* streamMerged(
  base: Weight,
  change: Change,
  strength: number,
  dtype: DType,
): AsyncGenerator<Uint8Array> {
  const convert = blockConverter('f32', dtype);
  if (!convert) throw notComputed(base, dtype);
  const { columns } = change;
  const rounded = borrowBytes(rowsPerBlock(columns) * columns * 4);
  const delta = await openChange(change, rowsPerBlock(columns));
  try {
    const add = await adder(base, change, delta, strength);
    for await (const { first, values } of rowBlocks(base, columns)) {
      add(values, delta.rows(first, values.length / columns), first);
      const target = rounded.subarray(0, values.length * byteWidth(dtype));
      convert(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), target);
      yield target;
    }
  } finally {
    delta.close();
    returnBytes(rounded);
  }
}

/** Merges rows of the change into rows of the base, in place; the first row has index `first`. */
type Adder = (values: Float32Array, delta: Float32Array, first: number) => void;

async function adder(base: Weight, change: Change, delta: MatrixRows, strength: number): Promise<Adder> {
  const scale = await readScale(change);
  const { magnitude } = change;
  if (!magnitude) return scaledAdder(strength * scale);

  const [inner, part] = magnitude.scales === 'change' ? [strength * scale, 1] : [scale, strength];
  const lengthOf = groupsOf(change, magnitude);
  const factors = await lengthFactors(base, change, magnitude, delta, inner);
  return (values, added, first) => {
    const start = first * change.columns;
    for (let i = 0; i < values.length; i++) {
      const old = values[i] ?? 0;
      const now = (old + inner * (added[i] ?? 0)) * (factors[lengthOf(start + i)] ?? 0);
      values[i] = old + part * (now - old);
    }
  };
}

/** A function of its own for each adder: V8 does not fully optimise a loop in an inlined function. */
function scaledAdder(scale: number): Adder {
  return (values, added) => {
    const { length } = values;
    for (let i = 0; i < length; i++) values[i] = (values[i] ?? 0) + scale * (added[i] ?? 0);
  };
}

/** Maps each element of the weight to the index of its DoRA magnitude. */
function groupsOf({ columns }: Change, { weight, by }: Magnitude): (element: number) => number {
  if (by === 'output') return (element) => Math.floor(element / columns);
  const kernel = columns / weight.shape.reduce((a, b) => a * b, 1);
  return (element) => Math.floor((element % columns) / kernel);
}

/**
 * Factors that bring the norms of the changed weight to DoRA's magnitudes. They depend on the whole weight, so it is
 * read twice.
 */
async function lengthFactors(
  base: Weight,
  change: Change,
  magnitude: Magnitude,
  delta: MatrixRows,
  scale: number,
): Promise<Float64Array> {
  const lengths = await readFinite(magnitude.weight);
  const lengthOf = groupsOf(change, magnitude);
  const squares = new Float64Array(lengths.length);
  const add = scaledAdder(scale);
  for await (const { first, values } of rowBlocks(base, change.columns)) {
    add(values, delta.rows(first, values.length / change.columns), first);
    const start = first * change.columns;
    for (let i = 0; i < values.length; i++) {
      const group = lengthOf(start + i);
      squares[group] = (squares[group] ?? 0) + (values[i] ?? 0) ** 2;
    }
  }
  // Weights that are all 0 stay 0, whatever their factor.
  return squares.map((square, i) => (lengths[i] ?? 0) / (Math.sqrt(square) || 1));
}

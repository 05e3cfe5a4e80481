import { elementCount } from './dtype.ts';
import { HUGE, ValueScan } from './value-scan.ts';
import type { Weight } from './weight.ts';

/** A weight with numbers that cannot be computed with, in the dtype that it was converted to. */
export interface NonFiniteWeight {
  readonly problem: 'non-finite';
  readonly weight: string;
  readonly elements: number;
  /** How many are NaN, … */
  readonly nan: number;
  /** … infinite in the checkpoint, … */
  readonly infinite: number;
  /** … and finite there, but beyond float16's 65504. */
  readonly overflowing: number;
  /** Index of the first of them, in row-major order. */
  readonly first: number;
}

/** A layer's weight that can be computed with, but as no training leaves it. */
export interface SuspiciousWeight {
  readonly problem: 'constant' | 'huge';
  readonly weight: string;
  readonly elements: number;
  /** The number that every element is; the largest magnitude of a `huge` one. */
  readonly value: number;
}

/** What is wrong with a weight's numbers. */
export type WeightFinding = NonFiniteWeight | SuspiciousWeight;

/** Fewer elements may well be alike. */
const FEWEST_TO_DIFFER = 16;

/**
 * The same weight, the same bytes; its numbers are looked at as they stream. `onFinding` is told at the end of each stream
 * what is wrong with them, every time the same. Only of a layer's matrix or kernel (`isLayer`) is known how it should look:
 * biases and norms may be anything finite.
 */
export function examinedWeight(
  weight: Weight,
  isLayer: boolean,
  onFinding: (finding: WeightFinding) => void,
): Weight {
  return {
    ...weight,
    stream(dtype) {
      if (dtype !== 'f16' && dtype !== 'f32') return weight.stream(dtype);
      return streamExamined(weight, dtype, isLayer, onFinding);
    },
  };
}

async function* streamExamined(
  weight: Weight,
  dtype: 'f16' | 'f32',
  isLayer: boolean,
  onFinding: (finding: WeightFinding) => void,
): AsyncGenerator<Uint8Array> {
  const scan = new ValueScan(dtype);
  for await (const block of weight.stream(dtype)) {
    scan.add(block);
    yield block;
  }
  const finding = (await nonFinite(weight, dtype, scan)) ?? (isLayer ? suspicious(weight, scan) : undefined);
  if (finding) onFinding(finding);
}

async function nonFinite(
  weight: Weight,
  dtype: 'f16' | 'f32',
  { nan, infinite, first, elements }: ValueScan,
): Promise<NonFiniteWeight | undefined> {
  if (first === undefined) return undefined;
  const before = dtype === 'f16' && infinite > 0 ? await infiniteBefore(weight) : infinite;
  const overflowing = infinite - before;
  return { problem: 'non-finite', weight: weight.name, elements, nan, infinite: before, overflowing, first };
}

/** How many elements are infinite before they are rounded to float16. Reads the weight once more, which sound ones never need. */
async function infiniteBefore(weight: Weight): Promise<number> {
  const scan = new ValueScan('f32');
  for await (const block of weight.stream('f32')) scan.add(block);
  return scan.infinite;
}

function suspicious(
  { name: weight, shape }: Weight,
  { constant, largest }: ValueScan,
): SuspiciousWeight | undefined {
  const elements = elementCount(shape);
  if (constant !== undefined && elements >= FEWEST_TO_DIFFER)
    return { problem: 'constant', weight, elements, value: constant };
  return largest > HUGE ? { problem: 'huge', weight, elements, value: largest } : undefined;
}

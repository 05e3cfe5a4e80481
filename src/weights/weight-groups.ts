import { byteSize, byteWidth, dtypeName, elementCount } from './dtype.ts';
import type { Weight } from './weight.ts';

/** Weights that are stored the same way. */
export interface WeightGroup {
  /** `float16`, `6-bit palette`, … */
  readonly stored: string;
  /** Bits of one parameter. */
  readonly bits: number;
  readonly tensors: number;
  readonly parameters: number;
  readonly byteLength: number;
}

/** One tensor, to be counted. */
export type StoredWeight = Omit<WeightGroup, 'tensors'>;

/** Groups weights by how they are stored, the largest group first. */
export function groupWeights(weights: Iterable<StoredWeight>): WeightGroup[] {
  const groups = new Map<string, WeightGroup>();
  for (const { stored, bits, parameters, byteLength } of weights) {
    const group = groups.get(stored) ?? { tensors: 0, parameters: 0, byteLength: 0 };
    groups.set(stored, {
      stored,
      bits,
      tensors: group.tensors + 1,
      parameters: group.parameters + parameters,
      byteLength: group.byteLength + byteLength,
    });
  }
  return [...groups.values()].sort((a, b) => b.byteLength - a.byteLength);
}

/** A tensor of a checkpoint: elements one after another, or packed. */
export function plainWeight({
  dtype,
  shape,
  coding,
}: Pick<Weight, 'dtype' | 'shape' | 'coding'>): StoredWeight {
  const parameters = elementCount(shape);
  if (coding) {
    const { name: stored, bits } = coding;
    return { stored, bits, parameters, byteLength: (parameters * bits) / 8 };
  }
  return {
    stored: dtypeName(dtype),
    bits: 8 * byteWidth(dtype),
    parameters,
    byteLength: byteSize(shape, dtype),
  };
}

/** Sums up groups of weights. */
export function sumOf(groups: readonly WeightGroup[]): Omit<WeightGroup, 'stored' | 'bits'> {
  const add = (key: 'tensors' | 'parameters' | 'byteLength') =>
    groups.reduce((sum, group) => sum + group[key], 0);
  return { tensors: add('tensors'), parameters: add('parameters'), byteLength: add('byteLength') };
}

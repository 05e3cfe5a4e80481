import type { Weight } from './weight.ts';

/** Lists the types of weights of fewer than 16 bits, the most frequent first: `Q4_K`, `8-bit floats`. */
export function fewBitTypes(weights: Iterable<Pick<Weight, 'dtype' | 'coding'>>): readonly string[] {
  const counts = new Map<string, number>();
  for (const { dtype, coding } of weights) {
    const name = coding
      ? coding.bits < 16
        ? coding.name
        : undefined
      : dtype.startsWith('f8') && '8-bit floats';
    if (name) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a).map(([name]) => name);
}

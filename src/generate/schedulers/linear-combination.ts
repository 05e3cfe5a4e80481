import { ShapeError } from '../../errors.ts';

/** Computes `Σ coefficient · values`, summed in double precision and rounded once to float32. Throws `ShapeError` when the lengths differ. */
export function linearCombination(...terms: readonly Term[]): Float32Array {
  const length = terms[0]?.[1].length ?? 0;
  const odd = terms.find(([, values]) => values.length !== length);
  if (odd) {
    throw new ShapeError({
      problem: "A scheduler's sample, model output and noise must have the same number of elements.",
      details: { expected: `${length} elements`, found: `${odd[1].length} elements` },
    });
  }
  return Float32Array.from({ length }, (_, i) => {
    let sum = 0;
    for (const [coefficient, values] of terms) sum += coefficient * (values[i] ?? 0);
    return sum;
  });
}

/** One term of the sum: a number times an array. */
export type Term = readonly [coefficient: number, values: Float32Array];

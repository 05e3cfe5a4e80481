import { RequestError } from '../errors.ts';
import { checkArguments, numbers } from '../io/check-call.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import { tensor } from '../weights/tensor-schema.ts';
import { numbersOf } from '../weights/tensor-values.ts';

/** Distance of a candidate's tensor from the reference's. */
export interface Comparison {
  /** Peak signal-to-noise ratio in dB, as `psnr` defines it. */
  readonly psnr: number;
  /** PSNR as Apple's converter computes it: with the candidate's peak instead of the reference's, and never infinite; NaN as `psnr`. */
  readonly applePsnr: number;
  /** The largest |reference − candidate|. */
  readonly maxAbsError: number;
  readonly nonFinite: NonFiniteCounts;
}

/** Numbers of infinities and NaNs. */
export interface NonFiniteCounts {
  readonly reference: number;
  readonly candidate: number;
  /** Those of the candidate where the reference is finite: an overflow. */
  readonly added: number;
}

/**
 * The peak signal-to-noise ratio in dB: 20·log10(max|reference| / rmse), in float64. Identical tensors have Infinity;
 * an all-zero reference, which has no scale to measure an error against, −Infinity unless the candidate is all zero.
 * Values where the reference is not finite do not count; where all others are identical, or there are none, the result is
 * NaN, since such tensors are not known to be identical. Where only the candidate is not finite, it is −Infinity or NaN.
 * Throws `RequestError` when the lengths differ.
 *
 * @example psnr([0, 1], [0, 0.9]) // 23.0103, as rmse is 0.1/√2
 */
export function psnr(reference: ArrayLike<number>, candidate: ArrayLike<number>): number {
  checkArguments('psnr', { reference: [reference, numbers], candidate: [candidate, numbers] });
  return decibels(measure(reference, candidate));
}

/** Compares two tensors of the same shape, of any dtypes. Throws `RequestError` when the shapes differ. */
export function compare(reference: TensorData, candidate: TensorData): Comparison {
  checkArguments('compare', { reference: [reference, tensor], candidate: [candidate, tensor] });
  if (reference.shape.join() !== candidate.shape.join()) {
    throw new RequestError({
      problem: 'two tensors of different shapes cannot be compared.',
      details: { reference: `[${reference.shape.join(', ')}]`, candidate: `[${candidate.shape.join(', ')}]` },
    });
  }
  const [expected, found] = [numbersOf(reference), numbersOf(candidate)];
  const measured = measure(expected, found);
  return {
    psnr: decibels(measured),
    applePsnr: 20 * Math.log10((measured.candidatePeak + 1e-5) / (measured.rmse + 1e-10)),
    maxAbsError: measured.maxAbsError,
    nonFinite: countNonFinite(expected, found),
  };
}

interface Measured {
  readonly referencePeak: number;
  readonly candidatePeak: number;
  readonly rmse: number;
  readonly maxAbsError: number;
}

function measure(reference: ArrayLike<number>, candidate: ArrayLike<number>): Measured {
  if (reference.length !== candidate.length) {
    throw new RequestError({
      problem: 'a PSNR needs two tensors with the same number of values.',
      details: { reference: `${reference.length} values`, candidate: `${candidate.length} values` },
    });
  }
  let [referencePeak, candidatePeak, squares, maxAbsError, count] = [0, 0, 0, 0, 0];
  for (let i = 0; i < reference.length; i++) {
    const expected = reference[i] ?? 0;
    const found = candidate[i] ?? 0;
    if (!Number.isFinite(expected)) continue;
    const error = Math.abs(expected - found);
    referencePeak = Math.max(referencePeak, Math.abs(expected));
    candidatePeak = Math.max(candidatePeak, Math.abs(found));
    maxAbsError = Math.max(maxAbsError, error);
    squares += error * error;
    count += 1;
  }
  // Of a tensor that is compared in part, no error says nothing of the rest.
  const isUnknown = squares === 0 && count < reference.length;
  const rmse = isUnknown ? Number.NaN : Math.sqrt(squares / count);
  return { referencePeak, candidatePeak, rmse, maxAbsError };
}

function decibels({ referencePeak, rmse }: Measured): number {
  return rmse === 0 ? Number.POSITIVE_INFINITY : 20 * Math.log10(referencePeak / rmse);
}

function countNonFinite(reference: ArrayLike<number>, candidate: ArrayLike<number>): NonFiniteCounts {
  const counts = { reference: 0, candidate: 0, added: 0 };
  for (let i = 0; i < reference.length; i++) {
    const expected = Number.isFinite(reference[i]);
    const found = Number.isFinite(candidate[i]);
    if (!expected) counts.reference += 1;
    if (!found) counts.candidate += 1;
    if (expected && !found) counts.added += 1;
  }
  return counts;
}

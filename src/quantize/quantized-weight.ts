import type { WeightError } from './palette/palette.ts';
import type { WeightForm } from './plan.ts';

/** A weight that a model holds quantised, before or after it is written. */
export interface QuantizedWeight {
  /** Its name in the file. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly form: WeightForm;
  /** Channels in the groups that were asked for, where it has none: see `withEqualGroups`. */
  readonly undivided?: number | undefined;
  /** Bytes it took before, and all that stands for it takes now. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Error of the weight: kept from writing it, or computed now. Throws what reading the weight throws. */
  error(): Promise<WeightError>;
}

/** Result of quantising a weight: its form and its error. */
export interface WeightReport {
  readonly name: string;
  readonly shape: readonly number[];
  readonly form: WeightForm;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Σ(w − ŵ)² over its elements, … */
  readonly squaredError: number;
  /** … and the least error of any palette of this size, before its entries are rounded. */
  readonly optimum?: number | undefined;
  /** 10·log₁₀(Σw² / Σ(w − ŵ)²); `null` for a weight that lost nothing. */
  readonly decibels: number | null;
}

/** Reports on a weight. Throws what reading it throws. */
export async function reportWeight({
  error,
  undivided: _,
  ...weight
}: QuantizedWeight): Promise<WeightReport> {
  const { squaredError, energy, optimum } = await error();
  const decibels = squaredError === 0 ? null : 10 * Math.log10(energy / squaredError);
  return { ...weight, squaredError, optimum, decibels };
}

import { RequestError } from '../errors.ts';
import type { Format } from '../formats/format.ts';
import type { TensorMap } from '../formats/runner.ts';
import { count } from '../text.ts';
import { decibelText } from './decibels.ts';
import { type Comparison, compare } from './psnr.ts';

/** Result of validating one model. */
export interface Verdict {
  /** `unet`, `vae_decoder`, … */
  readonly model: string;
  /** The model's folder or file; several where it is in chunks. */
  readonly paths: readonly string[];
  readonly format: Format;
  /** The lowest PSNR in dB that passes. */
  readonly floor: number;
  /** Description of the reference. */
  readonly reference: string;
  /** Every output under every case of inputs. */
  readonly outputs: readonly OutputVerdict[];
  /** Outputs that the reference does not have. */
  readonly notCompared: readonly string[];
  /** Whether every output passes. */
  readonly pass: boolean;
}

/** One output under one case of inputs. */
export interface OutputVerdict extends Comparison {
  readonly name: string;
  /** The inputs it was computed from: `timestep 981`. */
  readonly inputs: string;
  /**
   * PSNR in dB against the float32 reference, where the other numbers are against one whose weights have the same few bits:
   * what the bits cost, told apart from what the floor is for.
   */
  readonly float32Psnr?: number | undefined;
  /** At least the PSNR asked for, and all finite: no network gives infinities, so a reference that does proves nothing. */
  readonly pass: boolean;
}

/** Compares the outputs of one run; `float32` is what the reference gives without fewer bits. Throws `RequestError` when an output has another shape than the reference's. */
export function judge(
  reference: TensorMap,
  outputs: TensorMap,
  {
    inputs,
    minPsnr,
    float32,
  }: { readonly inputs: string; readonly minPsnr: number; readonly float32?: TensorMap | undefined },
): OutputVerdict[] {
  return [...reference].map(([name, expected]) => {
    const found = outputs.get(name);
    if (!found) throw new Error(`no output is called ${name}`);
    if (found.shape.join() !== expected.shape.join()) {
      throw new RequestError({
        problem: `the output ${name} has another shape than the reference's.`,
        details: { expected: `[${expected.shape.join(', ')}]`, found: `[${found.shape.join(', ')}]` },
        advice: 'Compare with a reference of the same model and size.',
      });
    }
    const comparison = compare(expected, found);
    // A PSNR that is no number (nothing could be compared) is not at least anything.
    const pass = comparison.psnr >= minPsnr && areFinite(comparison);
    const exact = float32?.get(name);
    const loss = exact ? { float32Psnr: compare(exact, found).psnr } : {};
    return { name, inputs, ...comparison, ...loss, pass };
  });
}

/** Whether all numbers of an output are finite, and those of the reference, too. */
export function areFinite({ nonFinite }: Pick<OutputVerdict, 'nonFinite'>): boolean {
  return nonFinite.reference + nonFinite.candidate === 0;
}

/** Verdicts in a few words: how many models, the lowest PSNR of any output beside the floor, and outputs that are not finite. */
export function inBrief(verdicts: readonly Verdict[], minPsnr: number): string {
  const outputs = verdicts.flatMap((verdict) => verdict.outputs);
  const lowest = inDecibels(outputs.map(({ psnr }) => psnr));
  const losses = outputs.flatMap(({ float32Psnr }) => float32Psnr ?? []);
  const loss = losses.length > 0 ? `; with fewer bits ${inDecibels(losses)} from float32` : '';
  const undefinedOnes = outputs.filter((output) => !areFinite(output)).length;
  const rest =
    undefinedOnes > 0 ? `; ${count(undefinedOnes, 'output')} with numbers that are not finite` : '';
  return `${count(verdicts.length, 'model')}, lowest PSNR ${lowest} (floor ${minPsnr})${loss}${rest}`;
}

function inDecibels(psnrs: readonly number[]): string {
  return decibelText(Math.min(...psnrs));
}

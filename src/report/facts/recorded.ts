import type { Format } from '../../formats/format.ts';
import { isCoreMl } from '../card.ts';

/**
 * Numbers on record beside which those of a conversion stand: the lowest PSNR of any output against diffusers on checkpoints of
 * random weights (`benchmarks/results/accuracy.csv`, a test holds them equal), and what Apple's converter published.
 */

type Families = 'sd1 and sd2' | 'sdxl';

/** Rows of `accuracy.csv`: format, precision, families, dB. */
export const recordedAccuracy = [
  ['coreml', 'float16 rounded', 'sd1 and sd2', 58.2],
  ['coreml', 'float16 rounded', 'sdxl', 46.7],
  ['coreml', 'float16', 'sd1 and sd2', 115.6],
  ['coreml', 'float16', 'sdxl', 111.2],
  ['coreml', 'float32', 'sd1 and sd2', 119.8],
  ['coreml', 'float32', 'sdxl', 109.9],
  ['onnx', 'float16', 'sd1 and sd2', 66.5],
  ['onnx', 'float16', 'sdxl', 56.3],
  ['onnx', 'float16-weights', 'sd1 and sd2', 123.7],
  ['onnx', 'float16-weights', 'sdxl', 109.7],
  ['onnx', 'float32', 'sd1 and sd2', 123.7],
  ['onnx', 'float32', 'sdxl', 109.7],
] as const satisfies readonly (readonly [string, string, Families, number])[];

/** The lowest PSNR on record; `null` where there is none for this format, precision and family. */
export function recordedFor(
  format: Format,
  precision: string | null,
  arithmetic: 'exact' | 'rounded',
  family: string | null,
): number | null {
  if (family === null || precision === null) return null;
  const families: Families = family.includes('XL') ? 'sdxl' : 'sd1 and sd2';
  const wanted = arithmetic === 'rounded' ? `${precision} rounded` : precision;
  const row = recordedAccuracy.find(
    ([kind, each, of]) =>
      kind === (isCoreMl({ format }) ? 'coreml' : format) && each === wanted && of === families,
  );
  return row?.[3] ?? null;
}

/** A number that Apple's converter printed for a model, by its own formula. */
interface ApplesNumber {
  readonly psnr: number;
  readonly what: string;
  readonly source: string;
}

/** What Apple's tool is known to have printed of Core ML models in float16; there is no more on record. */
export function applesNumber(network: string, format: Format, family: string | null): ApplesNumber | null {
  if (!isCoreMl({ format }) || network !== 'text_encoder' || !family?.includes('1.x')) return null;
  return {
    psnr: 56.6,
    what: 'text encoder of Stable Diffusion 1.5, on a Mac, by Apple’s formula',
    source: 'https://github.com/apple/coremltools/pull/2294',
  };
}

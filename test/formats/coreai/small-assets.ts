import type { Artifact } from '../../../src/formats/artifact.ts';
import { buildProgram } from '../../../src/formats/coreai/lower/build-program.ts';
import { coreAiModel } from '../../../src/formats/coreai/model.ts';
import { planQuantization, type QuantizationOptions } from '../../../src/quantize/plan.ts';
import type { Precision } from '../../../src/quantize/precision.ts';
import { smallNetwork, smallNumbers } from '../../quantize/small-network.ts';

/** Forms of a small network: every kind of weight that assets have. */
export const smallForms = {
  float32: { precision: 'float32' },
  float16: { precision: 'float16' },
  'palette of 4 bits': { precision: 'float32', quantization: { bits: 4 } },
  'palettes of 3 bits in groups': { precision: 'float16', quantization: { bits: 3, groupSize: 16 } },
  'int8 with scales': { precision: 'float32', quantization: { bits: 8, mode: 'linear-symmetric' } },
  'uint4 in blocks': { precision: 'float32', quantization: { bits: 4, mode: 'linear', groupSize: 32 } },
} as const satisfies Readonly<
  Record<string, { readonly precision: Precision; readonly quantization?: QuantizationOptions }>
>;

export type SmallForm = keyof typeof smallForms;

/** A small network as an asset that is ready to be written. */
export function smallAsset(form: SmallForm): Artifact {
  const { precision, quantization } = { quantization: undefined, ...smallForms[form] };
  const program = buildProgram(smallNetwork(smallNumbers(), precision));
  const whole = coreAiModel({ program, metadata: {} }, { network: 'unet', whole: 'unet' });
  return quantization ? whole.rewritten(planQuantization(quantization)).artifact : whole;
}

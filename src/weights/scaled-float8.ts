import { UnsupportedModelError } from '../errors.ts';
import { quote } from '../io/error-text.ts';
import type { Weight } from './weight.ts';

/**
 * Refuses a file whose 8-bit floats are not the weights themselves: they come with factors that they must be multiplied
 * with (`x.scale_weight` and the marker `scaled_fp8` of ComfyUI, `x.weight_scale` of others), and that no network of ours
 * would apply. Throws `UnsupportedModelError`.
 */
export function refuseScaledFloat8(weights: Iterable<Pick<Weight, 'name' | 'dtype'>>, file: string): void {
  const all = [...weights];
  const scale = all.find(({ name }) => scales.test(name));
  if (!scale || !all.some(({ dtype }) => dtype.startsWith('f8'))) return;
  throw new UnsupportedModelError({
    problem: `${file} holds scaled 8-bit floats, which are not supported.`,
    details: { tensor: quote(scale.name) },
    advice:
      'Use the float16, bfloat16 or float32 version of the model, or one in 8-bit floats without scales.',
  });
}

const scales = /(^|\.)(scaled_fp8|scale_(weight|input)|(weight|input)_scale(_inv)?)$/;

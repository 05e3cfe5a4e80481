import { ConfigError } from '../../errors.ts';
import { linearCombination } from './linear-combination.ts';

/**
 * What the network was trained to predict (diffusers' `prediction_type`): the noise, the picture, the velocity
 * α·noise − σ·picture, or a rectified flow's direction noise − picture.
 */
export type PredictionType = 'epsilon' | 'sample' | 'v_prediction' | 'flow_prediction';

/** Noise level of a sample: `sample = alpha · picture + sigma · noise`. */
export interface NoiseLevel {
  readonly alpha: number;
  readonly sigma: number;
}

/** Level of a training timestep, from its cumulative alpha (Ho et al. 2020: ᾱ). */
export function levelOfAlpha(cumulativeAlpha: number): NoiseLevel {
  return { alpha: Math.sqrt(cumulativeAlpha), sigma: Math.sqrt(1 - cumulativeAlpha) };
}

/** Level at which noise over picture is `ratio` (Karras et al. 2022: σ), with `alpha² + sigma² = 1`. */
export function levelOfRatio(ratio: number): NoiseLevel {
  const alpha = 1 / Math.sqrt(ratio * ratio + 1);
  return { alpha, sigma: ratio * alpha };
}

/** Level of a rectified flow at which a share `sigma` is noise (Liu et al. 2022, "Flow straight and fast"). */
export function levelOfFlow(sigma: number): NoiseLevel {
  return { alpha: 1 - sigma, sigma };
}

/** Predicted picture (diffusers' `pred_original_sample`). Throws `ConfigError` for a noise prediction at pure noise (alpha 0). */
export function predictPicture(
  type: PredictionType,
  { alpha, sigma }: NoiseLevel,
  output: Float32Array,
  sample: Float32Array,
): Float32Array {
  switch (type) {
    case 'sample':
      return output;
    case 'epsilon':
      if (alpha === 0) throw noPicture();
      return linearCombination([1 / alpha, sample], [-sigma / alpha, output]);
    case 'v_prediction':
      return linearCombination([alpha, sample], [-sigma, output]);
    case 'flow_prediction':
      return linearCombination([1, sample], [-sigma, output]);
  }
}

function noPicture(): ConfigError {
  return new ConfigError({
    problem: 'The scheduler starts at pure noise, where a predicted noise does not determine a picture.',
    details: { expected: 'another prediction_type, or rescale_betas_zero_snr off', found: 'epsilon' },
  });
}

/** Predicted noise (diffusers' `pred_epsilon`). */
export function predictNoise(
  type: PredictionType,
  { alpha, sigma }: NoiseLevel,
  output: Float32Array,
  sample: Float32Array,
): Float32Array {
  switch (type) {
    case 'epsilon':
      return output;
    case 'sample':
      return noiseOf(sample, output, { alpha, sigma });
    case 'v_prediction':
      return linearCombination([alpha, output], [sigma, sample]);
    case 'flow_prediction':
      return linearCombination([1 - sigma, output], [1, sample]);
  }
}

/** Noise in a sample whose picture is known. */
export function noiseOf(
  sample: Float32Array,
  picture: Float32Array,
  { alpha, sigma }: NoiseLevel,
): Float32Array {
  return linearCombination([1 / sigma, sample], [-alpha / sigma, picture]);
}

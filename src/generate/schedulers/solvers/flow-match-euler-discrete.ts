import { z } from 'zod';
import { linearCombination } from '../linear-combination.ts';
import { shiftFlow } from '../schedule/flow-shift.ts';
import { checkSteps } from '../schedule/noise-schedule.ts';
import { oneSpacing, ratioSpacing, spacedRatios } from '../schedule/ratio-spacing.ts';
import { noiseFor, type Scheduler, type SetTimestepsOptions, type StepOptions } from '../scheduler.ts';
import { between, flag, inert, positive, trainSteps } from '../scheduler-config.ts';
import { StepPosition } from '../step-position.ts';

export const flowMatchEulerDiscreteConfig = z
  .object({
    ...ratioSpacing,
    num_train_timesteps: trainSteps,
    shift: positive(1000).default(1),
    use_dynamic_shifting: flag.default(false),
    time_shift_type: z.enum(['exponential', 'linear']).default('exponential'),
    shift_terminal: between(0, 0.999).optional(),
    invert_sigmas: flag.default(false),
    stochastic_sampling: flag.default(false),
    prediction_type: z.literal('flow_prediction', '"flow_prediction"').default('flow_prediction'),
    // Read by pipelines: see `dynamicShift`.
    base_shift: inert,
    max_shift: inert,
    base_image_seq_len: inert,
    max_image_seq_len: inert,
  })
  .refine(...oneSpacing);

/** Euler's method for rectified flows, where σ is the share of noise (Esser et al. 2024): Stable Diffusion 3, FLUX. */
export class FlowMatchEulerDiscreteScheduler implements Scheduler {
  readonly stages = 1;
  readonly initNoiseSigma = 1;
  readonly needsNoise: boolean;
  timesteps: readonly number[] = [];
  /** Share of noise at each timestep and after the last step. */
  sigmas = new Float32Array();
  readonly #config: z.infer<typeof flowMatchEulerDiscreteConfig>;
  #position = new StepPosition([]);

  constructor(config: z.infer<typeof flowMatchEulerDiscreteConfig>) {
    this.#config = config;
    this.needsNoise = config.stochastic_sampling;
  }

  setTimesteps(count: number, { mu }: SetTimestepsOptions = {}): void {
    const { num_train_timesteps: trainSteps, invert_sigmas: inverted } = this.#config;
    checkSteps(count, trainSteps);
    const shares = shiftFlow(this.#config, this.#evenShares(count), mu);
    const [min = 0, max = 0] = [shares.at(-1), shares[0]];
    const spaced = spacedRatios(this.#config, { count, min, max }) ?? shares;
    const sigmas = Float32Array.from(spaced, (share) => (inverted ? 1 - Math.fround(share) : share));
    this.timesteps = Array.from(sigmas, (sigma) => Math.fround(sigma * trainSteps));
    this.sigmas = Float32Array.from([...sigmas, inverted ? 1 : 0]);
    this.#position = new StepPosition(this.timesteps);
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  step(modelOutput: Float32Array, t: number, sample: Float32Array, options: StepOptions = {}): Float32Array {
    const index = this.#position.at(t);
    const [sigma, next] = [this.#sigma(index), this.#sigma(index + 1)];
    this.#position.advance();
    if (!this.needsNoise) return linearCombination([1, sample], [next - sigma, modelOutput]);
    const noise = noiseFor('FlowMatchEulerDiscreteScheduler', options, sample.length);
    return linearCombination([1 - next, sample], [-sigma * (1 - next), modelOutput], [next, noise]);
  }

  addNoise(original: Float32Array, noise: Float32Array, t: number): Float32Array {
    const sigma = this.#sigma(this.#position.find(t));
    return linearCombination([1 - sigma, original], [sigma, noise]);
  }

  /** Evenly spaced shares from the training's highest to its lowest; a fixed shift is already in the lowest, as in diffusers. */
  #evenShares(count: number): number[] {
    const { num_train_timesteps: trainSteps, shift, use_dynamic_shifting: dynamic } = this.#config;
    const round = Math.fround;
    const least = round(1 / trainSteps);
    const low = dynamic ? least : round(round(shift * least) / round(1 + round((shift - 1) * least)));
    const [first, last] = [trainSteps, low * trainSteps];
    return Array.from({ length: count }, (_, i) =>
      i === 0 ? 1 : (first + i * ((last - first) / (count - 1))) / trainSteps,
    );
  }

  #sigma(index: number): number {
    return this.sigmas[index] ?? 0;
  }
}

import { z } from 'zod';
import { linearCombination } from '../linear-combination.ts';
import { levelOfAlpha, predictNoise } from '../prediction.ts';
import { alphaAt, cumulativeAlphas, spacedTimesteps } from '../schedule/noise-schedule.ts';
import { roundHalfEven } from '../schedule/round-half-even.ts';
import type { Scheduler } from '../scheduler.ts';
import { flag, noisePrediction, stepsOffset, timestepSpacing, trainingNoise } from '../scheduler-config.ts';
import { StepPosition } from '../step-position.ts';
import { RungeKuttaStart } from '../steps/runge-kutta-start.ts';

export const pndmConfig = z.object({
  ...trainingNoise,
  skip_prk_steps: flag.default(false),
  set_alpha_to_one: flag.default(false),
  prediction_type: noisePrediction,
  timestep_spacing: timestepSpacing.default('leading'),
  steps_offset: stepsOffset,
});

/** Adams–Bashforth weights of the newest, second newest … noise prediction, for orders 1 to 4. */
const ADAMS_BASHFORTH = [
  [1],
  [3 / 2, -1 / 2],
  [23 / 12, -16 / 12, 5 / 12],
  [55 / 24, -59 / 24, 37 / 24, -9 / 24],
];

/**
 * Liu et al. 2022, "Pseudo numerical methods for diffusion models on manifolds": pseudo linear multistep (PLMS), after
 * three steps of a pseudo Runge–Kutta method (PRK) unless `skip_prk_steps`.
 */
export class PndmScheduler implements Scheduler {
  readonly stages = 1;
  readonly initNoiseSigma = 1;
  readonly needsNoise = false;
  timesteps: readonly number[] = [];
  readonly #config: z.infer<typeof pndmConfig>;
  readonly #alphas: Float32Array;
  #stride = 0;
  #position = new StepPosition([]);
  #start: RungeKuttaStart | undefined;
  #stepsDone = 0;
  #outputs: readonly Float32Array[] = [];
  #firstSample = new Float32Array();

  constructor(config: z.infer<typeof pndmConfig>) {
    this.#config = config;
    this.#alphas = cumulativeAlphas(config, false);
  }

  setTimesteps(count: number): void {
    const { num_train_timesteps: trainSteps, steps_offset: offset, timestep_spacing: spacing } = this.#config;
    const spaced = spacedTimesteps(spacing, count, { trainSteps, offset }).map(roundHalfEven);
    this.#stride = Math.floor(trainSteps / count);
    this.#start = this.#config.skip_prk_steps ? undefined : new RungeKuttaStart(spaced, this.#stride);
    // Without PRK steps the second timestep comes twice: the first step is repeated with the mean of both outputs.
    this.timesteps = this.#start
      ? [...this.#start.timesteps, ...spaced.slice(3)]
      : [...spaced.slice(0, 2), ...spaced.slice(1)];
    this.#position = new StepPosition(this.timesteps);
    this.#stepsDone = 0;
    this.#outputs = [];
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  step(modelOutput: Float32Array, t: number, sample: Float32Array): Float32Array {
    this.#position.find(t); // throws when no step starts at `t`
    const run = this.#start?.next(modelOutput, t, sample);
    if (run) {
      if (run.first) this.#outputs = [modelOutput, ...this.#outputs];
      return this.#move(run.output, run.sample, run.from, run.to);
    }
    const again = !this.#start && this.#stepsDone++ === 1;
    if (again) {
      const [first = modelOutput] = this.#outputs;
      const mean = linearCombination([1 / 2, modelOutput], [1 / 2, first]);
      return this.#move(mean, this.#firstSample, t + this.#stride, t);
    }
    if (this.#outputs.length === 0) this.#firstSample = sample.slice();
    this.#outputs = [modelOutput, ...this.#outputs.slice(0, 3)];
    const weights = ADAMS_BASHFORTH[this.#outputs.length - 1] ?? [];
    const mean = linearCombination(...this.#outputs.map((output, i) => [weights[i] ?? 0, output] as const));
    return this.#move(mean, sample, t, t - this.#stride);
  }

  addNoise(original: Float32Array, noise: Float32Array, t: number): Float32Array {
    const { alpha, sigma } = levelOfAlpha(this.#alpha(t));
    return linearCombination([alpha, original], [sigma, noise]);
  }

  /** Moves the sample from timestep `from` to `to` with one noise prediction: equation 11 of the paper. */
  #move(output: Float32Array, sample: Float32Array, from: number, to: number): Float32Array {
    const [a, b] = [this.#alpha(from), this.#alpha(to)];
    const noise = predictNoise(this.#config.prediction_type, levelOfAlpha(a), output, sample);
    const scale = a * Math.sqrt(1 - b) + Math.sqrt(a * (1 - a) * b);
    return linearCombination([Math.sqrt(b / a), sample], [(a - b) / scale, noise]);
  }

  #alpha(t: number): number {
    return alphaAt(this.#alphas, t, this.#config.set_alpha_to_one ? 1 : (this.#alphas[0] ?? 1));
  }
}

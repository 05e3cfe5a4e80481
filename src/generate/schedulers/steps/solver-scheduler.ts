import { linearCombination } from '../linear-combination.ts';
import { levelOfFlow, levelOfRatio, type NoiseLevel } from '../prediction.ts';
import type { Stops } from '../schedule/ratio-spacing.ts';
import type { Scheduler, SetTimestepsOptions, StepOptions } from '../scheduler.ts';
import { StepPosition } from '../step-position.ts';

/**
 * Solvers that integrate over λ = ln(alpha / sigma): DPM-Solver, DEIS and UniPC (Lu et al. 2022, "DPM-Solver"). Their
 * samples have the same variance as in training, so they are not scaled for the model's input.
 */
export abstract class SolverScheduler implements Scheduler {
  readonly stages = 1;
  abstract readonly needsNoise: boolean;
  timesteps: readonly number[] = [];
  /** Noise over picture (for a flow, the share of noise) at each timestep and after the last step. */
  sigmas = new Float32Array();
  readonly #flow: boolean;
  #position = new StepPosition([]);

  constructor(flow: boolean) {
    this.#flow = flow;
  }

  get initNoiseSigma(): number {
    return 1;
  }

  abstract setTimesteps(count: number, options?: SetTimestepsOptions): void;

  scaleModelInput(sample: Float32Array, _t: number): Float32Array {
    return sample;
  }

  step(modelOutput: Float32Array, t: number, sample: Float32Array, options: StepOptions = {}): Float32Array {
    const next = this.move(this.#position.at(t), modelOutput, sample, options);
    this.#position.advance();
    return next;
  }

  addNoise(original: Float32Array, noise: Float32Array, t: number): Float32Array {
    const { alpha, sigma } = this.level(this.#position.find(t));
    return linearCombination([alpha, original], [sigma, noise]);
  }

  /** Computes the sample at stop `index + 1`. */
  protected abstract move(
    index: number,
    modelOutput: Float32Array,
    sample: Float32Array,
    options: StepOptions,
  ): Float32Array;

  /** Starts a sampling run over these stops that ends at the ratio `final`. */
  protected begin({ timesteps, ratios }: Stops, final: number): void {
    this.timesteps = timesteps;
    this.sigmas = Float32Array.from([...ratios, final]);
    this.#position = new StepPosition(timesteps);
  }

  /** Index of the current timestep, `t`. */
  protected at(t: number): number {
    return this.#position.at(t);
  }

  /** Noise level at a stop. */
  protected level(index: number): NoiseLevel {
    const sigma = this.sigmas[index] ?? 0;
    return this.#flow ? levelOfFlow(sigma) : levelOfRatio(sigma);
  }

  /** λ at a stop; infinite if there is no noise. */
  protected lambda(index: number): number {
    const { alpha, sigma } = this.level(index);
    return Math.log(alpha / sigma);
  }
}

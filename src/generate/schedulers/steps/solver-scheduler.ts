import { linearCombination } from '../linear-combination.ts';
import { levelOfFlow, levelOfRatio, type NoiseLevel } from '../prediction.ts';
import type { Stops } from '../schedule/ratio-spacing.ts';
import type { Scheduler, StepOptions, WalkOptions } from '../scheduler.ts';
import { StepPosition } from '../step-position.ts';

/**
 * Solvers whose samples have the level of the training at every stop, so that the model sees them as they are, and that
 * think in λ = ln(alpha / sigma): DPM-Solver, DEIS and UniPC (Lu et al. 2022, "DPM-Solver").
 */
export abstract class SolverScheduler implements Scheduler {
  readonly stages = 1;
  abstract readonly needsNoise: boolean;
  timesteps: readonly number[] = [];
  /** Noise over picture (a flow's share of noise) at each timestep and after the last one. */
  sigmas = new Float32Array();
  readonly #flow: boolean;
  #position = new StepPosition([]);

  constructor(flow: boolean) {
    this.#flow = flow;
  }

  get initNoiseSigma(): number {
    return 1;
  }

  abstract setTimesteps(count: number, options?: WalkOptions): void;

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

  /** The sample at stop `index + 1`. */
  protected abstract move(
    index: number,
    modelOutput: Float32Array,
    sample: Float32Array,
    options: StepOptions,
  ): Float32Array;

  /** Begins a walk with these stops, that ends at the ratio `final`. */
  protected begin({ timesteps, ratios }: Stops, final: number): void {
    this.timesteps = timesteps;
    this.sigmas = Float32Array.from([...ratios, final]);
    this.#position = new StepPosition(timesteps);
  }

  /** The index of the current timestep, `t`. */
  protected at(t: number): number {
    return this.#position.at(t);
  }

  /** How noisy the sample is at a stop. */
  protected level(index: number): NoiseLevel {
    const sigma = this.sigmas[index] ?? 0;
    return this.#flow ? levelOfFlow(sigma) : levelOfRatio(sigma);
  }

  /** λ at a stop; infinite where there is no noise. */
  protected lambda(index: number): number {
    const { alpha, sigma } = this.level(index);
    return Math.log(alpha / sigma);
  }
}

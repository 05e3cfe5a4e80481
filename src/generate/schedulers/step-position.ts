import { RequestError } from '../../errors.ts';

/** Position in the list of timesteps: looked up at the first step (image-to-image starts in the middle), then counted. */
export class StepPosition {
  readonly #timesteps: Float32Array;
  readonly #stages: number;
  #index: number | undefined;

  /** `stages`: model runs per step. A sampling run starts at the first run of a step. */
  constructor(timesteps: readonly number[], stages = 1) {
    this.#timesteps = Float32Array.from(timesteps);
    this.#stages = stages;
  }

  /** Index of the current timestep, `t`. Throws `RequestError` when no remaining timestep is `t`. */
  at(t: number): number {
    this.#index = this.#index === undefined ? this.find(t) : this.#search(t, this.#index, 1);
    return this.#index;
  }

  /** Index at which a sampling run from timestep `t` starts; the first, if rounding made several timesteps equal. */
  find(t: number): number {
    return this.#search(t, 0, this.#stages);
  }

  /** Moves on to the next timestep. */
  advance(): void {
    this.#index = (this.#index ?? 0) + 1;
  }

  #search(t: number, from: number, stride: number): number {
    // The caller's timestep may or may not have been rounded to float32 on its way.
    const rounded = Math.fround(t);
    for (let index = from; index < this.#timesteps.length; index += stride)
      if (this.#timesteps[index] === rounded) return index;
    throw new RequestError({
      problem: `The scheduler has no step left that starts at timestep ${t}.`,
      details: { 'steps left': this.#timesteps.subarray(from).join(', ') || 'none' },
      advice: 'Call setTimesteps, then pass the members of `timesteps` in their order.',
    });
  }
}

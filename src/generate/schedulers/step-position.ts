import { RequestError } from '../../errors.ts';

/** Where in its list of timesteps a walk is: found at the first step (image-to-image starts in the middle), then counted. */
export class StepPosition {
  readonly #timesteps: Float32Array;
  readonly #stages: number;
  #index: number | undefined;

  /** `stages`: how often the model is run in one step. A walk starts with a whole step. */
  constructor(timesteps: readonly number[], stages = 1) {
    this.#timesteps = Float32Array.from(timesteps);
    this.#stages = stages;
  }

  /** The index of the current timestep, `t`. Throws `RequestError` when no further one is `t`. */
  at(t: number): number {
    this.#index = this.#index === undefined ? this.find(t) : this.#search(t, this.#index, 1);
    return this.#index;
  }

  /** The index at which a walk from timestep `t` starts; the first one, where rounding made two equal. */
  find(t: number): number {
    return this.#search(t, 0, this.#stages);
  }

  /** The step is done. */
  advance(): void {
    this.#index = (this.#index ?? 0) + 1;
  }

  #search(t: number, from: number, stride: number): number {
    // Either timestep may have been a float32 on its way.
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

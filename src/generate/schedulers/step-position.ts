import { RequestError } from '../../errors.ts';

/** Where in its list of timesteps a walk is: found at the first step (image-to-image starts in the middle), then counted. */
export class StepPosition {
  readonly #timesteps: readonly number[];
  #index = 0;

  constructor(timesteps: readonly number[]) {
    this.#timesteps = timesteps;
  }

  /** The index of the current step, which starts at `t`. Throws `RequestError` when no further step starts there. */
  at(t: number): number {
    this.#index = this.find(t, this.#index);
    return this.#index;
  }

  /** The index of timestep `t`, at `from` or later; the first one, where rounding made two equal. */
  find(t: number, from = 0): number {
    // Either timestep may have been a float32 on its way.
    const ahead = this.#timesteps.slice(from).findIndex((own) => Math.abs(own - t) < 1e-3);
    if (ahead >= 0) return from + ahead;
    throw new RequestError({
      problem: `The scheduler has no step left that starts at timestep ${t}.`,
      details: { 'steps left': this.#timesteps.slice(from).join(', ') || 'none' },
      advice: 'Call setTimesteps, then pass the members of `timesteps` in their order.',
    });
  }

  /** The step is done. */
  advance(): void {
    this.#index++;
  }
}

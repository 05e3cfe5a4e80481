import { RequestError } from '../../errors.ts';

/** Where in its list of timesteps a walk is: found at the first step (image-to-image starts in the middle), then counted. */
export class StepPosition {
  readonly #timesteps: readonly number[];
  #index: number | undefined;

  constructor(timesteps: readonly number[]) {
    this.#timesteps = timesteps;
  }

  /** The index of the current step, which starts at `t`. Throws `RequestError` when no step starts there. */
  at(t: number): number {
    this.#index ??= this.find(t);
    return this.#index;
  }

  /**
   * The index of timestep `t`. Of two that rounding made equal it is the second, where diffusers' image-to-image
   * starts, but not at the very beginning, where diffusers would run out of steps.
   */
  find(t: number): number {
    const first = this.#timesteps.findIndex((own) => same(own, t));
    if (first < 0) {
      throw new RequestError({
        problem: `The scheduler has no step at timestep ${t}.`,
        details: { timesteps: this.#timesteps.join(', ') || 'none: setTimesteps was not called' },
        advice: 'Pass the members of its `timesteps`, in their order.',
      });
    }
    return first > 0 && same(this.#timesteps[first + 1] ?? Number.NaN, t) ? first + 1 : first;
  }

  /** The step is done. */
  advance(): void {
    if (this.#index !== undefined) this.#index++;
  }
}

/** Whether two timesteps are one, of which either may have been a float32 on its way. */
function same(a: number, b: number): boolean {
  return Math.abs(a - b) < 1e-3;
}

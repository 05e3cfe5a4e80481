import { RequestError } from '../../../errors.ts';
import { linearCombination } from '../linear-combination.ts';

/** One of the four runs of the model in a Runge–Kutta step, and where it leads. */
export interface RungeKuttaRun {
  /** Whether it is the first of its step, at the step's own timestep. */
  readonly first: boolean;
  /** The direction to go, from the sample at the step's beginning. */
  readonly output: Float32Array;
  readonly sample: Float32Array;
  readonly from: number;
  readonly to: number;
}

const STEPS = 3;
const RUNS = 4;
/** How much of each run's output is in the step. */
const WEIGHTS = [1 / 6, 1 / 3, 1 / 3, 1 / 6];

/**
 * The first three steps of PNDM, by a Runge–Kutta method of order 4 (Liu et al. 2022, equation 13): each runs the model
 * at its beginning, twice half-way and at its end, every time from the sample at its beginning.
 */
export class RungeKuttaStart {
  readonly timesteps: readonly number[];
  readonly #half: number;
  #done = 0;
  #outputs: readonly Float32Array[] = [];
  #sample = new Float32Array();

  /** `timesteps` of the whole walk. Throws `RequestError` when these are fewer than four. */
  constructor(timesteps: readonly number[], stride: number) {
    if (timesteps.length <= STEPS)
      throw new RequestError({
        problem: `A picture cannot be made in ${timesteps.length} steps with this scheduler.`,
        details: { expected: `at least ${STEPS + 1}`, found: String(timesteps.length) },
        advice: 'Ask for more, or set skip_prk_steps in its configuration.',
      });
    this.#half = Math.floor(stride / 2);
    this.timesteps = timesteps.slice(0, STEPS).flatMap((t, step) => {
      const end = timesteps[step + 1] ?? 0;
      return [t, end + this.#half, end + this.#half, end];
    });
  }

  /** What to do with a run's output; `undefined` when the start is over. */
  next(output: Float32Array, t: number, sample: Float32Array): RungeKuttaRun | undefined {
    if (this.#done === this.timesteps.length) return undefined;
    const run = this.#done % RUNS;
    const from = this.timesteps[this.#done - run] ?? t;
    this.#done++;
    if (run === 0) this.#sample = sample.slice();
    this.#outputs = [...(run === 0 ? [] : this.#outputs), output];
    const last = run === RUNS - 1;
    const direction = last
      ? linearCombination(...this.#outputs.map((each, i) => [WEIGHTS[i] ?? 0, each] as const))
      : output;
    // The first and third runs are followed by one further down; the others lead to where the next one is.
    const to = run % 2 === 0 ? t - this.#half : t;
    return { first: run === 0, output: direction, sample: this.#sample, from, to };
  }
}

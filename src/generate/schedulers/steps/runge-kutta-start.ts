import { RequestError } from '../../../errors.ts';
import { linearCombination } from '../linear-combination.ts';

/** One of the four model runs in a Runge–Kutta step, and the move that follows it. */
export interface RungeKuttaRun {
  /** Whether it is the first run of its step. */
  readonly first: boolean;
  /** Noise prediction to move with. */
  readonly output: Float32Array;
  /** Sample at the start of the step. */
  readonly sample: Float32Array;
  readonly from: number;
  readonly to: number;
}

const STEPS = 3;
const RUNS = 4;
/** Weight of each run's output in the step. */
const WEIGHTS = [1 / 6, 1 / 3, 1 / 3, 1 / 6];

/**
 * The first three steps of PNDM, by a fourth-order Runge–Kutta method (Liu et al. 2022, equation 13). Each runs the model
 * at its start, twice half-way and at its end; every move begins at the sample at its start.
 */
export class RungeKuttaStart {
  readonly timesteps: readonly number[];
  readonly #half: number;
  #done = 0;
  #outputs: readonly Float32Array[] = [];
  #sample = new Float32Array();

  /** `timesteps`: those of the whole sampling run. Throws `RequestError` when there are fewer than four. */
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

  /** Returns the move for a run's output; `undefined` when the three steps are done. */
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
    // The first and third moves end half a step below their timestep, the second and fourth at it.
    const to = run % 2 === 0 ? t - this.#half : t;
    return { first: run === 0, output: direction, sample: this.#sample, from, to };
  }
}

import type { Stops } from '../schedule/ratio-spacing.ts';
import { noiseFor, type StepOptions } from '../scheduler.ts';
import { type DpmAlgorithm, dpmSolverStep, isStochastic, stepWeights } from './dpm-solver-step.ts';
import { multistepExpansion } from './multistep-expansion.ts';
import { multistepOrder } from './multistep-order.ts';
import { SolverScheduler } from './solver-scheduler.ts';

type MultistepConfig = Parameters<typeof multistepOrder>[0] & {
  readonly algorithm_type: DpmAlgorithm;
  readonly solver_type: 'midpoint' | 'heun';
  readonly solver_order: number;
};

/** Multistep DPM-Solver and DPM-Solver++, orders 1 to 3: steps use the last few predictions. */
export abstract class MultistepDpmScheduler extends SolverScheduler {
  readonly needsNoise: boolean;
  readonly #config: MultistepConfig;
  /** Last predictions, newest first. */
  #values: readonly Float32Array[] = [];

  constructor(config: MultistepConfig, flow: boolean) {
    super(flow);
    this.#config = config;
    this.needsNoise = isStochastic(config.algorithm_type);
  }

  /** Predicted picture or noise at a stop, whichever the algorithm integrates. */
  protected abstract predict(index: number, modelOutput: Float32Array, sample: Float32Array): Float32Array;

  protected override begin(stops: Stops, final: number): void {
    super.begin(stops, final);
    this.#values = [];
  }

  protected move(
    index: number,
    modelOutput: Float32Array,
    sample: Float32Array,
    options: StepOptions,
  ): Float32Array {
    const { algorithm_type: algorithm, solver_type: type, solver_order: most } = this.#config;
    const [from, to] = [this.level(index), this.level(index + 1)];
    const value = this.predict(index, modelOutput, sample);
    this.#values = [value, ...this.#values.slice(0, most - 1)];
    const order = multistepOrder(this.#config, {
      known: this.#values.length,
      left: this.timesteps.length - index,
      count: this.timesteps.length,
    });
    const h = this.lambda(index + 1) - this.lambda(index);
    const expansion = multistepExpansion(order, this.#values, (back) => this.lambda(index - back), h);
    const noise = this.needsNoise ? noiseFor(algorithm, options, sample.length) : undefined;
    const midpoint = type === 'midpoint' && order === 2;
    return dpmSolverStep(stepWeights(algorithm, { from, to, h }), sample, expansion, { midpoint, noise });
  }
}

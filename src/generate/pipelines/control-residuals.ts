import type { Runner, TensorMap } from '../../formats/runner.ts';
import { checkArguments, list, number } from '../../io/check-call.ts';
import type { TensorData } from '../../weights/tensor-data.ts';
import { numbersOf } from '../../weights/tensor-values.ts';
import { repeatRows } from './predict-noise.ts';

/** Weight of a ControlNet, and the steps it applies to. */
export interface ControlStrength {
  /** Factor for its residuals (`controlnet_conditioning_scale`). */
  readonly scale: number;
  /** First and last step it applies to, as shares of all steps, from 0 to 1 (`control_guidance_start` and `_end`). */
  readonly start: number;
  readonly end: number;
}

/** A loaded ControlNet with its conditioning image. */
export interface Control extends ControlStrength {
  readonly network: Runner;
  /** [1,3,8h,8w], from 0 to 1. */
  readonly image: TensorData<'f32'>;
}

/**
 * Computes the residuals of ControlNets (Zhang et al. 2023) for a UNet in one of `steps` steps from the UNet's inputs: their
 * weighted sum, under Apple's names. A ControlNet that does not apply to a step is not run.
 */
export function controlResiduals(
  controls: readonly Control[],
  steps: number,
): (feeds: TensorMap, step: number) => Promise<TensorMap> {
  checkArguments('controlResiduals', { controls: [controls, list], steps: [steps, number] });
  let shapes: readonly (readonly number[])[] | undefined;
  return async (feeds, step) => {
    const rows = feeds.get('sample')?.shape[0] ?? 1;
    const active = controls.filter((control) => appliesTo(control, step, steps));
    const totals = (shapes ?? []).map(zeros);
    // Shapes of the residuals are known after the first run.
    for (const control of active.length > 0 || shapes ? active : controls.slice(0, 1)) {
      const { network, image, scale } = control;
      const outputs = await network.run(new Map([...feeds, ['controlnet_cond', repeatRows(image, rows)]]));
      const factor = active.includes(control) ? scale : 0;
      for (const [i, { name }] of network.outputs.entries()) {
        const tensor = outputs.get(name);
        if (!tensor) continue;
        const total = totals[i] ?? zeros(tensor.shape);
        addTo(total, tensor, factor);
        totals[i] = total;
      }
    }
    shapes ??= totals.map(({ shape }) => shape);
    return new Map(totals.map((total, i) => [`additional_residual_${i}`, total]));
  };
}

/** Whether the whole step lies between start and end. */
function appliesTo({ start, end }: ControlStrength, step: number, steps: number): boolean {
  return step / steps >= start && (step + 1) / steps <= end;
}

function zeros(shape: readonly number[]): TensorData<'f32'> {
  return { dtype: 'f32', shape, data: new Float32Array(shape.reduce((product, size) => product * size, 1)) };
}

function addTo(total: TensorData<'f32'>, tensor: TensorData, factor: number): void {
  const values = numbersOf(tensor);
  for (let i = 0; i < total.data.length; i++)
    total.data[i] = (total.data[i] ?? 0) + Math.fround((values[i] ?? 0) * factor);
}

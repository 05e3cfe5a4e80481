import { type Context, throwIfInterrupted } from '../../context.ts';
import { checkArguments, object } from '../../io/check-call.ts';
import type { TensorData } from '../../weights/tensor-data.ts';
import { denoising } from '../call-schemas.ts';
import type { Scheduler } from '../schedulers/scheduler.ts';
import type { NoisePredictor } from './predict-noise.ts';

/** State of one picture before denoising. */
export interface Picture {
  /** Its own scheduler (multistep schedulers have state), with the timesteps set. */
  readonly scheduler: Scheduler;
  /** Initial latents [1,C,h,w]. */
  readonly latents: TensorData<'f32'>;
  /** Changes the latents after each step, as inpainting does; `next` is the following timestep, if any. */
  readonly keep?: (latents: Float32Array, next: number | undefined) => Float32Array;
}

/** Inputs of the denoising loop. */
export interface DenoiseRequest {
  /** Pictures of one size. They take every step together, so that noise is drawn in the same order as in diffusers' batches. */
  readonly pictures: readonly Picture[];
  readonly timesteps: readonly number[];
  readonly predict: NoisePredictor;
  /** Draws standard normal noise, for schedulers that add noise. */
  readonly normal: (count: number) => Float32Array;
  /** When a base model and a refiner share the steps: steps before these, and all steps. */
  readonly part?: { readonly before: number; readonly of: number };
}

/** Called with the latents of every picture after each step, from 0 on. */
export type OnStep = (latents: readonly TensorData<'f32'>[], step: number) => void | Promise<void>;

/** Runs the denoising loop that all pipelines share, and returns the latents of every picture. Throws what `predict` throws. */
export async function denoise(
  request: DenoiseRequest,
  context: Context,
  onStep: OnStep = () => {},
): Promise<TensorData<'f32'>[]> {
  checkArguments('denoise', { request: [request, denoising], context: [context, object] });
  const { pictures, timesteps, predict, normal, part = { before: 0, of: timesteps.length } } = request;
  const { onProgress, signal } = context;
  let latents = pictures.map((picture) => picture.latents);
  for (const [index, timestep] of timesteps.entries()) {
    const step = part.before + index;
    throwIfInterrupted(signal);
    const what = `step ${step + 1} of ${part.of}`;
    onProgress?.({ type: 'progress', stage: 'denoise', what, done: step, total: part.of, unit: 'steps' });
    const stepped: TensorData<'f32'>[] = [];
    for (const [i, { scheduler, latents: first, keep }] of pictures.entries()) {
      const { shape, data } = latents[i] ?? first;
      const sample = { dtype: 'f32', shape, data: scheduler.scaleModelInput(data, timestep) } as const;
      const predicted = await predict(sample, timestep, index);
      const next = scheduler.step(predicted, timestep, data, { noise: normal });
      stepped.push({ dtype: 'f32', shape, data: keep?.(next, timesteps[index + 1]) ?? next });
    }
    latents = stepped;
    await onStep(latents, step);
  }
  return latents;
}

import { RequestError } from '../errors.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import type { Scheduler } from './schedulers/scheduler.ts';

/** Start of image-to-image: a picture instead of pure noise, as in diffusers' StableDiffusionImg2ImgPipeline. */
export interface Beginning {
  /** Latents of the picture [1,C,h,w], scaled for the UNet. */
  readonly latents: TensorData<'f32'>;
  /** Share of the steps that are run, which redraws as much of the picture: above 0, at most 1. */
  readonly strength: number;
}

/** Timesteps that image-to-image runs out of `steps` steps. Throws `RequestError` when there are none. */
export function timestepsLeft(
  { timesteps, stages }: Scheduler,
  steps: number,
  strength: number,
): readonly number[] {
  const left = timesteps.slice((steps - Math.min(Math.floor(steps * strength), steps)) * stages);
  if (strength > 0 && strength <= 1 && left.length > 0) return left;
  throw new RequestError({
    problem: `a strength of ${strength} leaves none of the ${steps} steps to run.`,
    details: { expected: 'more than 0, at most 1, and at least one step', found: String(strength) },
    advice: `Use --strength ${Math.min(1, Math.ceil(100 / steps) / 100)} or more, or more steps.`,
  });
}

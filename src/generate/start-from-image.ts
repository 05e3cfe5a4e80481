import { RequestError } from '../errors.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import type { Scheduler } from './schedulers/scheduler.ts';

/** Drawing that begins with a picture instead of noise alone, as diffusers' StableDiffusionImg2ImgPipeline does. */
export interface Beginning {
  /** The picture's latents [1,C,h,w], scaled as the UNet's are. */
  readonly latents: TensorData<'f32'>;
  /** How much of it is drawn anew: more than 0, at most 1. */
  readonly strength: number;
}

/** The timesteps that are left of a walk of `steps` that begins with a picture. Throws `RequestError` where none are. */
export function timestepsLeft(
  { timesteps, stages }: Scheduler,
  steps: number,
  strength: number,
): readonly number[] {
  const left = timesteps.slice((steps - Math.min(Math.floor(steps * strength), steps)) * stages);
  if (strength > 0 && strength <= 1 && left.length > 0) return left;
  throw new RequestError({
    problem: `a strength of ${strength} leaves nothing of ${steps} steps to draw.`,
    details: { expected: 'more than 0, at most 1, and at least one step', found: String(strength) },
    advice: `Take --strength ${Math.min(1, Math.ceil(100 / steps) / 100)} or more, or more steps.`,
  });
}

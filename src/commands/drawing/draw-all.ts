import type { Context, ProgressEvent } from '../../context.ts';
import type { TensorData } from '../../weights/tensor-data.ts';
import { type Conditionings, type Denoised, drawLatents } from './draw-latents.ts';
import type { Drawing } from './plan.ts';

/** Latents of the pictures of a drawing. */
export interface DrawnLatents extends Denoised {
  readonly drawing: Drawing;
  /** As they were after some steps, counted from 1. */
  readonly saved: readonly { readonly step: number; readonly latents: readonly TensorData<'f32'>[] }[];
  readonly steps: number;
}

/** Draws one drawing after the other. Throws what `drawLatents` throws. */
export async function drawAll(
  drawings: readonly Drawing[],
  conditionings: readonly Conditionings[],
  context: Context,
): Promise<DrawnLatents[]> {
  const drawn: DrawnLatents[] = [];
  for (const [index, drawing] of drawings.entries()) {
    const conditioning = conditionings[index];
    if (!conditioning) throw new RangeError('a drawing without conditioning');
    drawn.push(await drawOne(drawing, conditioning, asPart(context, index, drawings.length)));
  }
  return drawn;
}

async function drawOne(
  drawing: Drawing,
  conditionings: Conditionings,
  context: Context,
): Promise<DrawnLatents> {
  const { request } = drawing;
  const saved: { step: number; latents: readonly TensorData<'f32'>[] }[] = [];
  let steps = 0;
  const denoised = await drawLatents(drawing, conditionings, context, async (each, step) => {
    steps += 1;
    if (request.saveEvery > 0 && steps % request.saveEvery === 0) saved.push({ step: steps, latents: each });
    await request.onStep?.(each, step);
  });
  // The last step is the picture itself.
  return { drawing, ...denoised, saved: saved.filter(({ step }) => step < steps), steps };
}

/** A context whose progress counts the steps of all drawings. */
function asPart(context: Context, index: number, count: number): Context {
  const { onProgress } = context;
  if (!onProgress || count === 1) return context;
  const inAll = (event: ProgressEvent): ProgressEvent =>
    event.type === 'progress'
      ? {
          ...event,
          what: `${index + 1} of ${count}, ${event.what}`,
          done: index * event.total + event.done,
          total: count * event.total,
        }
      : event;
  return { ...context, onProgress: (event) => onProgress(inAll(event)) };
}

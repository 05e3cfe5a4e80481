import type { Context } from '../../context.ts';
import { LATENT_CHANNELS, PIXELS } from '../../convert/networks/latents.ts';
import type { RunnerOptions } from '../../formats/runner.ts';
import { controlPixelsOf } from '../../generate/image-tensor.ts';
import { latentEncoder } from '../../generate/latent-encoder.ts';
import { type Beginning, beginWithNoise } from '../../generate/pipelines/beginning.ts';
import { type Control, controlResiduals } from '../../generate/pipelines/control-residuals.ts';
import { denoise, type OnStep } from '../../generate/pipelines/denoise.ts';
import { classifierFree, unguided } from '../../generate/pipelines/guidance.ts';
import { beginEditing } from '../../generate/pipelines/image-editing.ts';
import { beginWithImage } from '../../generate/pipelines/image-to-image.ts';
import { beginInpainting } from '../../generate/pipelines/inpainting.ts';
import { type Conditioning, noisePredictor } from '../../generate/pipelines/predict-noise.ts';
import { baseTimesteps, refinerTimesteps } from '../../generate/pipelines/timesteps.ts';
import { openNetwork } from '../../run/open-network.ts';
import type { TensorData } from '../../weights/tensor-data.ts';
import type { ControlPlan, Drawing } from './plan.ts';

/** Conditioning of base model and refiner. */
export interface Conditionings {
  readonly base: Conditioning;
  readonly refiner?: Conditioning | undefined;
}

/** Latents of each picture. */
export interface Denoised {
  readonly latents: readonly TensorData<'f32'>[];
  /** Time that the steps took, without loading networks. */
  readonly seconds: number;
}

/** Denoises the latents of each picture. Throws what running the networks throws. */
export async function drawLatents(
  drawing: Drawing,
  conditionings: Conditionings,
  context: Context,
  onStep?: OnStep,
): Promise<Denoised> {
  const { refiner, newScheduler, rng } = drawing;
  const { refiner: conditioning } = conditionings;
  const normal = (count: number) => rng.normal(count);
  const beginning = await begin(drawing, normal);
  if (!refiner || !conditioning)
    return drawBase(drawing, conditionings.base, { ...beginning, normal }, context, onStep);

  const timesteps = baseTimesteps(beginning.timesteps, refiner.split);
  const refined = refinerTimesteps(newScheduler(), refiner.split);
  const of = timesteps.length + refined.length;
  const base = { ...beginning, timesteps, normal, part: { before: 0, of } };
  const { latents, seconds } = await drawBase(drawing, conditionings.base, base, context, onStep);
  const finished = await drawing.networks.use('refiner', (unet) => {
    const { guidanceScale } = drawing.request;
    const guidance = guidanceScale > 1 ? classifierFree(guidanceScale) : unguided;
    const predict = noisePredictor({ unet, guidance, conditioning });
    const pictures = latents.map((each) => ({ scheduler: newScheduler(), latents: each }));
    const part = { before: timesteps.length, of };
    return timed(() => denoise({ pictures, timesteps: refined, predict, normal, part }, context, onStep));
  });
  return { ...finished, seconds: seconds + finished.seconds };
}

async function timed(run: () => Promise<TensorData<'f32'>[]>): Promise<Denoised> {
  const start = performance.now();
  return { latents: await run(), seconds: (performance.now() - start) / 1000 };
}

/** Prepares the first step of the drawing's pipeline. */
async function begin(drawing: Drawing, normal: (count: number) => Float32Array): Promise<Beginning> {
  const { request, networks, unet, settings, image, mask, strength, guidance, size } = drawing;
  const { steps, imageCount } = request;
  const schedulers = Array.from({ length: imageCount }, drawing.newScheduler);
  const plain = { schedulers, shape: [1, LATENT_CHANNELS, ...size], normal };
  if (!image) return beginWithNoise(plain);
  return networks.use('vae_encoder', async (network) => {
    const { vaePixels, latentScale, scalesEditedPicture } = settings;
    const tiles = request.vaeTiling ? { input: vaePixels, output: vaePixels / PIXELS } : undefined;
    const options = { ...latentScale, channels: LATENT_CHANNELS, normal, tiles };
    const begun = { ...plain, image, encoder: latentEncoder(network, options) };
    if (strength === undefined)
      return beginEditing({
        ...begun,
        guidance,
        pictureFactor: scalesEditedPicture ? latentScale.factor : 1,
      });
    const partly = { ...begun, steps, strength };
    if (!mask) return beginWithImage(partly);
    const { length: rows } = guidance.rows;
    return beginInpainting({ ...partly, mask, rows, isTrainedForIt: unet.kind === 'inpainting' });
  });
}

interface BaseSteps extends Beginning {
  readonly normal: (count: number) => Float32Array;
  readonly part?: { readonly before: number; readonly of: number };
}

/** Runs the steps of the base model with its ControlNets. */
async function drawBase(
  { networks, network, guidance, controls }: Drawing,
  conditioning: Conditioning,
  { extra, ...steps }: BaseSteps,
  context: Context,
  onStep: OnStep | undefined,
): Promise<Denoised> {
  return withControls(controls, networks.options, (opened) =>
    networks.use(network, (unet) => {
      const count = steps.part?.of ?? steps.timesteps.length;
      const residuals = opened.length > 0 ? controlResiduals(opened, count) : undefined;
      const predict = noisePredictor({ unet, conditioning, guidance, extra, residuals });
      return timed(() => denoise({ ...steps, predict }, context, onStep));
    }),
  );
}

/** Loads ControlNets, calls `use` with them, and closes them. */
async function withControls<T>(
  plans: readonly ControlPlan[],
  options: RunnerOptions,
  use: (controls: readonly Control[]) => Promise<T>,
): Promise<T> {
  const controls: Control[] = [];
  try {
    for (const { paths, image, ...strength } of plans) {
      const network = await openNetwork(paths, options);
      controls.push({ ...strength, network, image: controlPixelsOf(image) });
    }
    return await use(controls);
  } finally {
    for (const { network } of controls) await network.close();
  }
}

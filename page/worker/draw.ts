import type { Runner } from '../../src/formats/runner.ts';
import { imageFromTensor } from '../../src/generate/image-tensor.ts';
import { latentEncoder } from '../../src/generate/latent-encoder.ts';
import { areFinite, lostInDecoder, lostInLatents } from '../../src/generate/lost-numbers.ts';
import { type Beginning, beginWithNoise } from '../../src/generate/pipelines/beginning.ts';
import { denoise } from '../../src/generate/pipelines/denoise.ts';
import { classifierFree, unguided } from '../../src/generate/pipelines/guidance.ts';
import { beginWithImage } from '../../src/generate/pipelines/image-to-image.ts';
import { noisePredictor } from '../../src/generate/pipelines/predict-noise.ts';
import { decodeLatents } from '../../src/generate/run-networks.ts';
import { createScheduler } from '../../src/generate/schedulers/create-scheduler.ts';
import { createRng } from '../../src/random/random.ts';
import type { WebPlan } from '../../src/web/web-plan.ts';
import type { TensorData } from '../../src/weights/tensor-data.ts';
import type { DrawRequest, Pixels } from '../messages.ts';
import { type Encoding, encode } from './encode.ts';
import type { Following } from './weight-files.ts';

/** How drawing is followed. */
export interface Drawing extends Following {
  readonly onStep: (step: number, of: number) => void;
  readonly onPreview: (step: number, picture: Pixels) => void;
}

/** A picture, and how long each of its steps took. */
export interface Drawn {
  readonly picture: Pixels;
  readonly secondsPerStep: number;
}

/** Draws a picture, as `generate` does in Node. Throws errors of one sentence, and `InterruptedError` when it was stopped. */
export async function draw(page: Encoding, request: DrawRequest, drawing: Drawing): Promise<Drawn> {
  const { plan, networks } = page;
  const isGuided = request.guidanceScale > 1 && plan.unet.guidanceChannels === undefined;
  const conditioning = await encode(page, request, isGuided, drawing);
  const rng = createRng('numpy', request.seed);
  const normal = (count: number) => rng.normal(count);
  const { pictures, timesteps } = await begin(page, request, normal, drawing);
  // A decoder beside the UNet, for pictures of the steps; loading it after each would take longer than the step.
  const beside = request.showsSteps ? ['vae_decoder'] : [];
  const lost = () => drawing.onNote(lostInDecoder(request.prompt));
  const decodeWith = (latents: TensorData<'f32'>, onLost = () => {}) =>
    networks.use('vae_decoder', drawing, (decoder) => decode(decoder, plan, latents, onLost), ['unet']);
  if (request.showsSteps) await networks.use('vae_decoder', drawing, async () => {});
  let seconds = 0;
  const [latents] = await networks.use(
    'unet',
    drawing,
    async (unet) => {
      const guidance = isGuided ? classifierFree(request.guidanceScale) : unguided;
      const predict = noisePredictor({ unet, conditioning, guidance });
      let start = performance.now();
      drawing.onStep(0, timesteps.length);
      return denoise(
        { pictures, timesteps, predict, normal },
        { signal: drawing.signal },
        async ([each], step) => {
          seconds += (performance.now() - start) / 1000;
          drawing.onStep(step + 1, timesteps.length);
          if (each && request.showsSteps && step + 1 < timesteps.length)
            drawing.onPreview(step + 1, await decodeWith(each));
          await breath();
          start = performance.now();
        },
      );
    },
    beside,
  );
  if (!latents) throw new Error('Nothing was drawn.');
  if (!areFinite(latents)) drawing.onNote(lostInLatents(request.prompt));
  const picture = await decodeWith(latents, areFinite(latents) ? lost : undefined);
  return { picture, secondsPerStep: seconds / timesteps.length };
}

/** Lets messages in: a run of a model blocks the worker. */
function breath(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

async function begin(
  { plan, networks }: Encoding,
  { width, height, steps, scheduler: name, start }: DrawRequest,
  normal: (count: number) => Float32Array,
  drawing: Drawing,
): Promise<Beginning> {
  const { channels, pixels, scale } = plan.latents;
  const scheduler = createScheduler(plan.scheduler, name);
  scheduler.setTimesteps(steps);
  const plain = { schedulers: [scheduler], shape: [1, channels, height / pixels, width / pixels], normal };
  if (!start) return beginWithNoise(plain);
  return networks.use('vae_encoder', drawing, (network) => {
    const encoder = latentEncoder(network, { ...scale, channels, normal });
    return beginWithImage({ ...plain, image: start.image, encoder, steps, strength: start.strength });
  });
}

async function decode(
  decoder: Runner,
  { latents: { scale } }: WebPlan,
  latents: TensorData<'f32'>,
  onLost: () => void,
): Promise<Pixels> {
  const decoded = await decodeLatents(decoder, latents, scale);
  if (!areFinite(decoded)) onLost();
  const { shape, data } = decoded;
  const [, , height = 0, width = 0] = shape;
  const image = imageFromTensor(data, width, height);
  return { ...image, data: Uint8Array.from(image.data) };
}

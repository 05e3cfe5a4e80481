import { join } from 'node:path';
import { locateRequested } from '../checkpoint/from-hub/locate-requested.ts';
import { type Context, inStage, throwIfInterrupted } from '../context.ts';
import { requireOnnxruntime } from '../formats/onnx/onnx-session.ts';
import { type DrawnUnet, PIXELS } from '../generate/drawn-unet.ts';
import {
  type ConditioningRequest,
  encodeConditioning,
  withNetwork,
} from '../generate/encode-conditioning.ts';
import { imageFromTensor } from '../generate/image-tensor.ts';
import type { Guidance } from '../generate/pipelines/guidance.ts';
import { guidanceEmbedding } from '../generate/pipelines/guidance-embedding.ts';
import { type Conditioning, repeatRows } from '../generate/pipelines/predict-noise.ts';
import { encodePng } from '../generate/png.ts';
import { decodeLatents } from '../generate/run-networks.ts';
import { writeFile } from '../io/disk.ts';
import { pickRows, type TensorData } from '../weights/tensor-data.ts';
import { checkRequest } from './check-request.ts';
import { type Conditionings, drawLatents } from './drawing/draw-latents.ts';
import { type Drawing, planDrawing, type RefinerPlan } from './drawing/plan.ts';
import { type GenerateOptions, type GenerateRequest, generateDefaults } from './drawing/request.ts';
import { withDefaults } from './options.ts';

/** A generated picture. */
export interface GeneratedImage {
  readonly path: string;
  readonly width: number;
  readonly height: number;
  /** The seed of the run: with it the same picture is drawn again. */
  readonly seed: number;
}

/** Stages of `generate`, in order. */
export const generateStages = ['encode', 'denoise', 'decode'] as const;

/**
 * Generates pictures with a converted checkpoint in any format, one network in memory at a time (ControlNets beside their
 * UNet). Deterministic: the same request gives the same bytes on one machine. What is missing or does not fit is refused
 * before anything is loaded. Throws `NotFoundError` when the folder lacks a model, `RequestError` for a request that the
 * models cannot serve, `FileFormatError` for pictures that are no PNG, `InterruptedError`, and what running throws.
 */
export async function generate(options: GenerateOptions, context: Context = {}): Promise<GeneratedImage[]> {
  checkRequest('generate', options);
  const given = withDefaults<GenerateRequest, typeof generateDefaults>(generateDefaults, options);
  await requireOnnxruntime();
  const request = await locateRequested(given, { input: 'models' }, context);
  const drawing = await planDrawing(request, context);
  const conditionings = await inStage('encode', context, () => encode(drawing, context));
  const latents = await inStage('denoise', context, () => draw(drawing, conditionings, context));
  return inStage('decode', context, () => decode(drawing, latents, context));
}

/** Encodes the prompts for base model and refiner. */
async function encode(drawing: Drawing, context: Context) {
  const { request, folder, unet, guidance, refiner } = drawing;
  const { prompt, negativePrompt = '', guidanceScale } = request;
  const prompts = guidance.rows.length > 1 ? [negativePrompt, prompt] : [prompt];
  const encoded = await encodeConditioning(folder, unet, conditioningOf(drawing, unet, prompts), context);
  const output: Conditionings = {
    base: withGuidanceScale(rowsFor(encoded, guidance), unet, guidanceScale),
    refiner: refiner && (await encodeRefiner(drawing, refiner)),
  };
  return { output, detail: prompts.map((each) => `“${each}”`).join(' against ') };
}

/** The refiner has classifier-free guidance even where the base model's is distilled. */
async function encodeRefiner(drawing: Drawing, { unet }: RefinerPlan) {
  const { prompt, negativePrompt = '', guidanceScale } = drawing.request;
  const prompts = guidanceScale > 1 ? [negativePrompt, prompt] : [prompt];
  // What there is to note of the prompts was noted for the base model.
  return encodeConditioning(drawing.folder, unet, conditioningOf(drawing, unet, prompts), {});
}

function conditioningOf(
  { request, settings, size, inversions }: Drawing,
  { family }: DrawnUnet,
  prompts: readonly string[],
): ConditioningRequest {
  const { originalSize, crop, negativePrompt, clipSkip } = request;
  const reading = { long: request.longPrompts, weights: request.promptWeights, clipSkip, inversions };
  const target = [size[0] * PIXELS, size[1] * PIXELS] as const;
  const zeros =
    family === 'sdxl' && settings.zerosForEmptyPrompt && negativePrompt === undefined && prompts.length > 1;
  const sizes = { original: originalSize ?? target, crop, target };
  return { prompts, zeroed: zeros ? [0] : [], sizes, reading };
}

/** Arranges encoded rows, [negative prompt, prompt] or the prompt alone, as the guidance needs them. */
function rowsFor({ hiddenStates, added }: Conditioning, { rows }: Guidance): Conditioning {
  const numbers = rows.map((row) => (row === 'prompt' ? (hiddenStates.shape[0] ?? 1) : 1) - 1);
  return {
    hiddenStates: pickRows(hiddenStates, numbers),
    ...(added && { added: new Map([...added].map(([name, tensor]) => [name, pickRows(tensor, numbers)])) }),
  };
}

/** Adds the guidance scale for a UNet with distilled guidance. */
function withGuidanceScale(
  conditioning: Conditioning,
  { guidanceChannels }: DrawnUnet,
  scale: number,
): Conditioning {
  if (guidanceChannels === undefined) return conditioning;
  const embedding = repeatRows(
    guidanceEmbedding(scale, guidanceChannels),
    conditioning.hiddenStates.shape[0] ?? 1,
  );
  return { ...conditioning, added: new Map([...(conditioning.added ?? []), ['timestep_cond', embedding]]) };
}

async function draw(drawing: Drawing, conditionings: Conditionings, context: Context) {
  let steps = 0;
  const output = await drawLatents(drawing, conditionings, context, (latents, step) => {
    steps += 1;
    drawing.request.onStep?.(latents, step);
  });
  return { output, detail: `${steps} × ${output.length} runs of the UNet` };
}

async function decode(drawing: Drawing, latents: readonly TensorData<'f32'>[], context: Context) {
  const { request, seed, folder, settings } = drawing;
  return withNetwork(folder, 'vae_decoder', async (decoder) => {
    const output: GeneratedImage[] = [];
    for (const [index, each] of latents.entries()) {
      throwIfInterrupted(context.signal);
      const { shape, data } = await decodeLatents(decoder, each, settings.latentScale);
      const [, , height = 0, width = 0] = shape;
      const path = join(request.output, fileName(drawing, index));
      const png = encodePng(imageFromTensor(data, width, height));
      await writeFile(path, (sink) => sink.write(png, 0));
      output.push({ path, width, height, seed });
    }
    return { output, detail: output.map(({ path }) => path).join(', ') };
  });
}

/** File name as in Apple's StableDiffusionSample: first 75 characters of the prompt, index, strength, seed. */
function fileName(
  { request: { prompt, imageCount, image }, strength, seed }: Drawing,
  index: number,
): string {
  const words = prompt
    .slice(0, 75)
    .replaceAll(' ', '_')
    .replaceAll(/[/\\\0]/g, '_');
  const [number, drawnAnew] = [imageCount > 1, image !== undefined];
  return [
    words,
    ...(number ? [index] : []),
    ...(drawnAnew ? [`str${Math.trunc(strength * 100)}`] : []),
    seed,
    'final.png',
  ].join('.');
}

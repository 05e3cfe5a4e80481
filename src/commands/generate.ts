import { join } from 'node:path';
import { type Context, inStage, throwIfInterrupted } from '../context.ts';
import type { NetworkName } from '../convert/networks/networks.ts';
import { RequestError } from '../errors.ts';
import { requireOnnxruntime } from '../formats/onnx/onnx-session.ts';
import { type DrawingFolder, findDrawingFolder, requireModel } from '../generate/drawing-folder.ts';
import { type DrawingSettings, readSettings } from '../generate/drawing-settings.ts';
import { type DrawnUnet, LATENT_CHANNELS, readDrawnUnet } from '../generate/drawn-unet.ts';
import { type Conditioning, encodeConditioning, withNetwork } from '../generate/encode-conditioning.ts';
import type { Image } from '../generate/image.ts';
import { imageFromTensor } from '../generate/image-tensor.ts';
import { encodeImage } from '../generate/image-to-image.ts';
import { decodePng, encodePng } from '../generate/png.ts';
import {
  readTextualInversions,
  type TextualInversionChoice,
} from '../generate/prompt/read-textual-inversion.ts';
import type { TextualInversion } from '../generate/prompt/textual-inversion.ts';
import { createScheduler } from '../generate/schedulers/create-scheduler.ts';
import { timestepsLeft } from '../generate/start-from-image.ts';
import { decodeLatents, denoise } from '../generate/text-to-image.ts';
import { makeFolder, openFile, writeFile } from '../io/disk.ts';
import { createRng, type RngKind } from '../random/random.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import { checkRequest } from './check-request.ts';
import { type OptionsOf, withDefaults } from './options.ts';

/** Pictures to generate, and the models to use. */
export interface GenerateRequest {
  /** A conversion's output folder, its `onnx` or `Resources`, a folder of packages, or a ready-made repository. */
  readonly input: string;
  /** Folder for the pictures. */
  readonly output: string;
  readonly prompt: string;
  /** Empty when left out; Stable Diffusion XL then gets zeros as embeddings if `force_zeros_for_empty_prompt` is set. */
  readonly negativePrompt?: string | undefined;
  /** Random when left out, and reported in a note. */
  readonly seed?: number | undefined;
  readonly steps: number;
  /** 1 or less turns guidance off: no negative prompt, half the work. */
  readonly guidanceScale: number;
  /** Name of a scheduler, as `schedulerCalled` accepts it; the checkpoint's own when left out. */
  readonly scheduler?: string | undefined;
  readonly rng: RngKind;
  readonly imageCount: number;
  /** A PNG to start from (image-to-image), of the size of the result. */
  readonly image?: string | undefined;
  /** How much `image` is changed: above 0, at most 1. */
  readonly strength: number;
  /** `original_size` of Stable Diffusion XL's size conditioning, in pixels; the size of the picture when left out. */
  readonly originalSize?: readonly [height: number, width: number] | undefined;
  /** `crops_coords_top_left` of Stable Diffusion XL's size conditioning, in pixels. */
  readonly crop: readonly [top: number, left: number];
  /** Number of text encoder layers to skip for the prompt, as diffusers' `clip_skip`. */
  readonly clipSkip: number;
  /** Whether prompts may have more than 75 tokens; otherwise the rest is cut off, with a note. */
  readonly longPrompts: boolean;
  /** Whether `(word:1.2)` and `[word]` in prompts are weights (`readPromptWeights`). */
  readonly promptWeights: boolean;
  /** Textual inversions to use in prompts. */
  readonly textualInversions: readonly TextualInversionChoice[];
}

/** Defaults of `generate`. */
export const generateDefaults = {
  output: '.',
  steps: 50,
  guidanceScale: 7.5,
  rng: 'numpy',
  imageCount: 1,
  strength: 0.5,
  crop: [0, 0],
  clipSkip: 0,
  longPrompts: false,
  promptWeights: false,
  textualInversions: [],
} as const satisfies Partial<GenerateRequest>;

/** Options of `generate`; only `input` and `prompt` are required. */
export type GenerateOptions = OptionsOf<GenerateRequest, typeof generateDefaults>;

/** A generated picture. */
export interface GeneratedImage {
  readonly path: string;
  readonly width: number;
  readonly height: number;
  /** Seed of the run; the same seed gives the same picture. */
  readonly seed: number;
}

/** Stages of `generate`, in order. */
export const generateStages = ['encode', 'denoise', 'decode'] as const;

/** Pixels per latent, in height and width. */
const PIXELS = 8;

/**
 * Generates pictures with a converted checkpoint in any format, one network in memory at a time. Deterministic: the same
 * request gives the same bytes on one machine. Missing and unsupported models are refused before anything is loaded. Throws
 * `NotFoundError` when the folder lacks a model, `RequestError` when its UNet needs more than a prompt, `InterruptedError`,
 * and what running throws.
 */
export async function generate(options: GenerateOptions, context: Context = {}): Promise<GeneratedImage[]> {
  checkRequest('generate', options);
  const request = withDefaults<GenerateRequest, typeof generateDefaults>(generateDefaults, options);
  await requireOnnxruntime();
  const drawing = await prepare(request, context);
  const conditioning = await inStage('encode', context, () => encode(drawing, context));
  const latents = await inStage('denoise', context, () => draw(drawing, conditioning, context));
  return inStage('decode', context, () => decode(drawing, latents, context));
}

/** Everything that is prepared before a network is loaded. */
interface Drawing {
  readonly request: GenerateRequest;
  readonly seed: number;
  readonly folder: DrawingFolder;
  readonly unet: DrawnUnet;
  readonly settings: DrawingSettings;
  readonly scheduler: ReturnType<typeof createScheduler>;
  readonly rng: ReturnType<typeof createRng>;
  /** Picture to start from. */
  readonly image: Image | undefined;
  readonly inversions: readonly TextualInversion[];
}

async function prepare(request: GenerateRequest, context: Context): Promise<Drawing> {
  const folder = await findDrawingFolder(request.input);
  const unet = await readDrawnUnet(requireModel(folder, 'unet'));
  for (const network of networksFor(unet, request)) requireModel(folder, network);
  const settings = await readSettings(folder, unet.family, context);
  const scheduler = createScheduler(settings.scheduler, request.scheduler);
  const seed = request.seed ?? randomSeed();
  const rng = createRng(request.rng, seed);
  scheduler.setTimesteps(request.steps);
  const image = request.image === undefined ? undefined : await readImage(request.image, unet);
  if (image) timestepsLeft(scheduler, request.steps, request.strength);
  const inversions = await readTextualInversions(request.textualInversions);
  await makeFolder(request.output);
  if (request.seed === undefined)
    context.onProgress?.({
      type: 'note',
      message: `the seed is ${seed}: pass --seed ${seed} to get the same picture again.`,
    });
  return { request, seed, folder, unet, settings, scheduler, rng, image, inversions };
}

function networksFor({ family }: DrawnUnet, { image }: GenerateRequest): readonly NetworkName[] {
  return [
    'text_encoder',
    ...(family === 'sdxl' ? (['text_encoder_2'] as const) : []),
    ...(image === undefined ? [] : (['vae_encoder'] as const)),
    'vae_decoder',
  ];
}

/** Reads a PNG. Throws `FileFormatError` for anything else, `RequestError` for another size. */
async function readImage(path: string, { size: [rows, columns] }: DrawnUnet): Promise<Image> {
  const file = await openFile(path);
  const bytes = new Uint8Array(file.size);
  await file.read(bytes, 0).finally(() => file.close());
  const image = decodePng(bytes, path);
  const [width, height] = [columns * PIXELS, rows * PIXELS];
  if (image.width === width && image.height === height) return image;
  throw new RequestError({
    problem: `${path} does not have the size of the picture to generate.`,
    details: { expected: `${width} × ${height} pixels`, found: `${image.width} × ${image.height} pixels` },
    advice: 'Scale or crop it to that size first.',
  });
}

/** A seed that every random number generator accepts. */
function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}

async function encode({ request, folder, unet, settings, inversions }: Drawing, context: Context) {
  const { prompt, negativePrompt = '', guidanceScale, originalSize, crop } = request;
  const prompts = guidanceScale > 1 ? [negativePrompt, prompt] : [prompt];
  const isZero = settings.zerosForEmptyPrompt && request.negativePrompt === undefined && prompts.length > 1;
  const [height, width] = unet.size;
  const target = [height * PIXELS, width * PIXELS] as const;
  const sizes = { original: originalSize ?? target, crop, target };
  const { longPrompts: long, promptWeights: weights, clipSkip } = request;
  const reading = { long, weights, clipSkip, inversions };
  const prompted = { prompts, zeroed: isZero ? [0] : [], sizes, reading };
  return {
    output: await encodeConditioning(folder, unet, prompted, context),
    detail: prompts.map((each) => `“${each}”`).join(' against '),
  };
}

async function draw(
  { request, folder, unet, settings, scheduler, rng, image }: Drawing,
  conditioning: Conditioning,
  context: Context,
) {
  const { guidanceScale, steps, imageCount } = request;
  const shape = [1, LATENT_CHANNELS, ...unet.size];
  const count = shape.reduce((product, size) => product * size, 1);
  const normal = (numbers: number) => rng.normal(numbers);
  // One stream of random numbers in diffusers' order: latents of the image, noise of each picture, noise of the scheduler.
  const beginning = image && {
    latents: await withNetwork(folder, 'vae_encoder', (encoder) =>
      encodeImage(encoder, image, settings.latentScale, { channels: LATENT_CHANNELS, normal }),
    ),
    strength: request.strength,
  };
  const noises = Array.from({ length: imageCount }, () => rng.normal(count));
  return withNetwork(folder, 'unet', async (network) => {
    const output: TensorData<'f32'>[] = [];
    for (const data of noises) {
      const noise = { dtype: 'f32', shape, data } as const;
      const inputs = { ...conditioning, noise, guidanceScale, steps, beginning, normal };
      output.push(await denoise(network, scheduler, inputs, context));
    }
    return { output, detail: `${scheduler.timesteps.length} × ${imageCount} runs of the UNet` };
  });
}

async function decode(
  { request, seed, folder, settings }: Drawing,
  latents: readonly TensorData<'f32'>[],
  context: Context,
) {
  return withNetwork(folder, 'vae_decoder', async (decoder) => {
    const output: GeneratedImage[] = [];
    for (const [index, each] of latents.entries()) {
      throwIfInterrupted(context.signal);
      const { shape, data } = await decodeLatents(decoder, each, settings.latentScale);
      const [, , height = 0, width = 0] = shape;
      const path = join(request.output, fileName(request, seed, index));
      const png = encodePng(imageFromTensor(data, width, height));
      await writeFile(path, (sink) => sink.write(png, 0));
      output.push({ path, width, height, seed });
    }
    return { output, detail: output.map(({ path }) => path).join(', ') };
  });
}

/** File name as in Apple's StableDiffusionSample: first 75 characters of the prompt, index, strength, seed. */
function fileName(
  { prompt, imageCount, image, strength }: GenerateRequest,
  seed: number,
  index: number,
): string {
  const words = prompt
    .slice(0, 75)
    .replaceAll(' ', '_')
    .replaceAll(/[/\\\0]/g, '_');
  const [number, hasImage] = [imageCount > 1, image !== undefined];
  return [
    words,
    ...(number ? [index] : []),
    ...(hasImage ? [`str${Math.trunc(strength * 100)}`] : []),
    seed,
    'final.png',
  ].join('.');
}

import { CLIP_TOKENS } from '../convert/config/clip-text-config.ts';
import { trainedFactors } from '../convert/vae.ts';
import { RequestError } from '../errors.ts';
import type { DeclaredDim, ModelBorders, TensorMap } from '../formats/runner.ts';
import { createRng } from '../random/random.ts';
import type { Rng } from '../random/rng.ts';
import { type NetworkForm, optimumInput } from '../run/tensor-names.ts';
import { elementCount } from '../weights/dtype.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import type { ModelSettings } from './model-settings.ts';

/**
 * Inputs such as a network meets in use, and the same in every run. Uniform noise, as converters often test with, hides
 * what a real prompt, a late timestep or a picture shows.
 */

/** One set of inputs, in optimum's names and layouts. */
export interface InputCase {
  /** What tells it from the others: `timestep 981`. */
  readonly name: string;
  readonly tensors: TensorMap;
}

/** Sizes of the inputs: of the prompt, the latents and the picture. */
export interface InputSizes {
  readonly batch: number;
  readonly tokens: number;
  /** Of the hidden states that a UNet attends to; absent where nothing says it. */
  readonly textChannels?: number;
  readonly latentChannels: number;
  readonly latentHeight: number;
  readonly latentWidth: number;
  readonly colours: number;
  readonly height: number;
  readonly width: number;
  /** Of the pooled text that a UNet of SDXL takes; absent where it takes none. */
  readonly pooledChannels?: number;
  /** Numbers about the picture's size that it takes: 6, a refiner 5. */
  readonly timeIds?: number;
  /** Of the embedded guidance scale that a UNet of LCM takes. */
  readonly guidanceChannels?: number;
  /** Height and width of the picture that a safety checker sees. */
  readonly clipSize?: number;
  /** Shapes of the residuals that a UNet takes from a ControlNet, by its names. */
  readonly residuals?: ReadonlyMap<string, readonly number[]>;
}

type Size = Exclude<keyof InputSizes, 'residuals'>;

const denoiser = {
  sample: ['batch', 'latentChannels', 'latentHeight', 'latentWidth'],
  encoder_hidden_states: ['batch', 'tokens', 'textChannels'],
  text_embeds: ['batch', 'pooledChannels'],
  time_ids: ['batch', 'timeIds'],
  timestep_cond: ['batch', 'guidanceChannels'],
} as const;

/** What the dimensions of each network's inputs are, in optimum's layout. */
const dimensions: { readonly [K in NetworkForm]: Readonly<Record<string, readonly Size[]>> } = {
  text_encoder: { input_ids: ['batch', 'tokens'] },
  unet: denoiser,
  'control-unet': denoiser,
  controlnet: { ...denoiser, controlnet_cond: ['batch', 'colours', 'height', 'width'] },
  vae_decoder: { latent_sample: ['batch', 'latentChannels', 'latentHeight', 'latentWidth'] },
  vae_encoder: { sample: ['batch', 'colours', 'height', 'width'] },
  safety_checker: {
    clip_input: ['batch', 'colours', 'clipSize', 'clipSize'],
    images: ['batch', 'height', 'width', 'colours'],
  },
};

/** A picture has 8 pixels for each latent in height and width. */
const PIXELS = 8;

/**
 * The sizes to run a model and its reference at: those that either declares, else those the network was trained on. All
 * that see text get two rows, as under classifier-free guidance. Throws `RequestError` when the two declare
 * different sizes.
 */
export function inputSizes(
  network: NetworkForm,
  { sampleSize = 64, textChannels }: ModelSettings,
  models: readonly ModelBorders[],
): InputSizes {
  const declared: { -readonly [K in Size]?: number } = {};
  for (const { path, inputs } of models) {
    for (const { name, dims } of inputs) {
      const meanings = dimensions[network][optimumInput(name)] ?? [];
      // Where optimum has [B,S,C], Apple has [B,C,1,S].
      const isApple = meanings.length === 3 && dims.length === 4;
      if (!isApple && meanings.length !== dims.length) continue;
      for (const [axis, meaning] of meanings.entries()) {
        const size = dims[isApple ? ([0, 3, 1][axis] ?? axis) : axis];
        if (typeof size !== 'number') continue;
        declared[meaning] ??= size;
        if (declared[meaning] !== size) throw otherSize(path, name, declared[meaning], size);
      }
    }
  }
  const { latentHeight = sampleSize, latentWidth = sampleSize } = declared;
  const sizes: InputSizes = {
    batch: 'input_ids' in dimensions[network] || 'encoder_hidden_states' in dimensions[network] ? 2 : 1,
    tokens: CLIP_TOKENS,
    ...(textChannels !== undefined && { textChannels }),
    latentChannels: 4,
    latentHeight,
    latentWidth,
    colours: 3,
    height: latentHeight * PIXELS,
    width: latentWidth * PIXELS,
    ...declared,
  };
  return network === 'control-unet' ? { ...sizes, residuals: residualShapes(sizes, models) } : sizes;
}

/** The shapes of a UNet's residuals, as the last of the models declares them: of that it and its like are fed. */
function residualShapes(
  { batch, latentHeight, latentWidth }: InputSizes,
  models: readonly ModelBorders[],
): ReadonlyMap<string, readonly number[]> {
  const free = { batch_size: batch, height: latentHeight, width: latentWidth };
  const residuals = (models.at(-1)?.inputs ?? []).filter(({ name }) => name.includes('additional_residual'));
  return new Map(residuals.map(({ name, dims }) => [name, dims.map((dim) => boundSize(dim, free))]));
}

/** A declared size, where it is free (`height / 2`) for these sizes. Throws `RequestError` for a free size of another name. */
function boundSize(dim: DeclaredDim, free: Readonly<Record<string, number>>): number {
  if (typeof dim === 'number') return dim;
  const [, name = '', divisor = '1'] = /^(\w+)(?: \/ (\d+))?$/.exec(dim) ?? [];
  const size = free[name];
  if (size !== undefined) return size / Number(divisor);
  throw new RequestError({
    problem: `nothing says how large ${dim} of a ControlNet’s residuals is.`,
    advice: 'Compare with recorded inputs and outputs (.safetensors).',
  });
}

/** What a reference's text encoders give for realistic prompts. */
export interface EncodedPrompts {
  /** Hidden states [B,S,C]: of each encoder, and of all side by side. */
  readonly hidden: readonly TensorData[];
  /** Pooled text [B,C], of the last encoder that projects it. */
  readonly pooled?: TensorData | undefined;
}

/**
 * Inputs for a network at given sizes. Those that attend to text take `prompts` of their own size, and random numbers
 * where there are none. Throws `RequestError` when nothing tells the text's channels.
 */
export function realisticCases(
  network: NetworkForm,
  sizes: InputSizes,
  settings: ModelSettings,
  prompts: EncodedPrompts = { hidden: [] },
): InputCase[] {
  const rng = createRng('numpy', SEED);
  const { batch, latentChannels, latentHeight, latentWidth, colours, height, width } = sizes;
  const latents = (scale: number) => normal(rng, [batch, latentChannels, latentHeight, latentWidth], scale);
  const only = (name: string, ...tensors: (readonly [string, TensorData])[]): InputCase[] => [
    { name, tensors: new Map(tensors) },
  ];
  switch (network) {
    case 'text_encoder':
      return only('prompts', ['input_ids', tokenIds(rng, sizes, settings)]);
    case 'unet':
    case 'control-unet':
    case 'controlnet': {
      const conditions = conditionsOf(network, rng, sizes, prompts);
      return TIMESTEPS.map((timestep) => ({
        name: `timestep ${timestep}`,
        tensors: new Map<string, TensorData>([
          ['sample', latents(1)],
          ['timestep', { dtype: 'f32', shape: [], data: Float32Array.of(timestep) }],
          ...conditions,
        ]),
      }));
    }
    case 'vae_decoder': {
      const { scalingFactor = trainedFactors.sd } = settings;
      return only('latents', ['latent_sample', latents(1 / scalingFactor)]);
    }
    case 'vae_encoder':
      return only('picture', ['sample', picture(rng, [batch, colours, height, width])]);
    case 'safety_checker': {
      const { clipSize = 224 } = sizes;
      return only(
        'picture',
        ['clip_input', picture(rng, [batch, colours, clipSize, clipSize])],
        ['images', channelsLast(zeroToOne(picture(rng, [batch, colours, height, width])))],
        ['adjustment', { dtype: 'f32', shape: [1], data: Float32Array.of(0) }],
      );
    }
  }
}

/** What steers the denoising of latents: text, and what else the network takes. */
function conditionsOf(
  network: NetworkForm,
  rng: Rng,
  sizes: InputSizes,
  { hidden, pooled }: EncodedPrompts,
): [string, TensorData][] {
  const { batch, tokens, colours, height, width, pooledChannels, timeIds, guidanceChannels } = sizes;
  const { textChannels = hidden[0]?.shape[2] } = sizes;
  if (textChannels === undefined) throw unknownTextChannels();
  const conditions: [string, TensorData][] = [
    ['encoder_hidden_states', rowsOf(rng, [batch, tokens, textChannels], hidden)],
  ];
  if (pooledChannels !== undefined)
    conditions.push(['text_embeds', rowsOf(rng, [batch, pooledChannels], pooled ? [pooled] : [])]);
  if (timeIds !== undefined) conditions.push(['time_ids', timeIdsOf(sizes, timeIds)]);
  if (guidanceChannels !== undefined)
    conditions.push(['timestep_cond', guidanceEmbedding(batch, guidanceChannels)]);
  if (network === 'controlnet')
    conditions.push(['controlnet_cond', zeroToOne(picture(rng, [batch, colours, height, width]))]);
  for (const [name, shape] of sizes.residuals ?? []) conditions.push([name, normal(rng, shape, RESIDUALS)]);
  return conditions;
}

/** A ControlNet adds little to what it steers. */
const RESIDUALS = 0.1;

function otherSize(path: string, name: string, expected: number, found: number): RequestError {
  return new RequestError({
    problem: `the model and its reference take ${name} of different sizes.`,
    details: { model: String(expected), reference: `${found} (${path})` },
    advice: 'Compare with a reference of the same model, converted for the same size.',
  });
}

const SEED = 93;

/** From the first step of a schedule to its last. */
const TIMESTEPS = [981, 501, 1];

/** A few dozen token ids between begin and end in even rows, none in odd ones; CLIP pads with the end. */
function tokenIds(
  rng: Rng,
  { batch, tokens }: InputSizes,
  { vocabularySize = 49408 }: ModelSettings,
): TensorData {
  const [begin, end] = [vocabularySize - 2, vocabularySize - 1];
  const data = new Int32Array(batch * tokens).fill(end);
  for (let row = 0; row < batch; row++) {
    const words = row % 2 === 0 ? rng.normal(Math.min(PROMPT_TOKENS, tokens - 2)) : [];
    const ids = Array.from(words, (value) => Math.floor(Math.abs(value) * 1e6) % begin);
    data.set([begin, ...ids], row * tokens);
  }
  return { dtype: 'i32', shape: [batch, tokens], data };
}

const PROMPT_TOKENS = 40;

/** The rows of the first of `tensors` whose rows are of this shape, in turn; random numbers if there is none. */
function rowsOf(rng: Rng, shape: readonly number[], tensors: readonly TensorData[]): TensorData {
  const found = tensors.find(
    (each) => each.dtype === 'f32' && each.shape.slice(1).join() === shape.slice(1).join(),
  );
  if (!found) return normal(rng, shape, 1);
  const data = Float32Array.from(
    { length: elementCount(shape) },
    (_, i) => Number(found.data[i % found.data.length]), // of float32
  );
  return { dtype: 'f32', shape, data };
}

/** SDXL's sizes: original, where it was cropped, wanted; a refiner has instead of the last how beautiful it is to be. */
function timeIdsOf({ batch, height, width }: InputSizes, count: number): TensorData {
  const rows = Array.from({ length: batch }, (_, row) =>
    [height, width, 0, 0, ...(count === 5 ? [row % 2 === 0 ? 2.5 : 6] : [height, width])].slice(0, count),
  );
  return { dtype: 'f32', shape: [batch, count], data: Float32Array.from(rows.flat()) };
}

/** A guidance scale of 7.5 as LCM is told it (LatentConsistencyModelPipeline.get_guidance_scale_embedding in diffusers). */
function guidanceEmbedding(batch: number, channels: number): TensorData {
  const half = Math.floor(channels / 2);
  const angles = Array.from({ length: half }, (_, i) => 6500 * Math.exp((-Math.log(10000) * i) / (half - 1)));
  const row = [...angles.map(Math.sin), ...angles.map(Math.cos), ...(channels % 2 === 0 ? [] : [0])];
  const rows = Array.from({ length: batch }, () => row);
  return { dtype: 'f32', shape: [batch, channels], data: Float32Array.from(rows.flat()) };
}

function unknownTextChannels(): RequestError {
  return new RequestError({
    problem: 'nothing says how many channels the encoder_hidden_states of this UNet have.',
    advice:
      'Compare with recorded inputs and outputs (.safetensors), or put the config.json of the UNet beside it.',
  });
}

function normal(rng: Rng, shape: readonly number[], scale: number): Picture {
  return { dtype: 'f32', shape, data: rng.normal(elementCount(shape)).map((value) => value * scale) };
}

/** Slow waves of colour within −1…1: [B,C,H,W]. */
function picture(rng: Rng, shape: readonly [number, number, number, number]): Picture {
  const [batch, colours, height, width] = shape;
  const data = new Float32Array(elementCount(shape));
  for (let plane = 0; plane < batch * colours; plane++) {
    const waves = Array.from({ length: WAVES }, () => rng.normal(3));
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const heights = waves.map(([across = 0, down = 0, phase = 0]) =>
          Math.cos(2 * Math.PI * ((across * x) / width + (down * y) / height + phase)),
        );
        const sum = heights.reduce((total, each) => total + each, 0);
        data[(plane * height + y) * width + x] = sum / WAVES;
      }
    }
  }
  return { dtype: 'f32', shape, data };
}

const WAVES = 3;

type Picture = Extract<TensorData, { dtype: 'f32' }>;

/** −1…1 → 0…1. */
function zeroToOne({ shape, data }: Picture): Picture {
  return { dtype: 'f32', shape, data: data.map((value) => (value + 1) / 2) };
}

/** [B,C,H,W] → [B,H,W,C]. */
function channelsLast({ shape, data }: Picture): Picture {
  const [batch = 0, colours = 0, height = 0, width = 0] = shape;
  const area = height * width;
  const turned = new Float32Array(data.length);
  for (let plane = 0; plane < batch * colours; plane++) {
    const start = Math.floor(plane / colours) * colours * area + (plane % colours);
    for (let at = 0; at < area; at++) turned[start + at * colours] = data[plane * area + at] ?? 0;
  }
  return { dtype: 'f32', shape: [batch, height, width, colours], data: turned };
}

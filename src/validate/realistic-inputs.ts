import type { ModelName } from '../convert/contracts/contract.ts';
import { RequestError } from '../errors.ts';
import { createRng, type Rng } from '../random/random.ts';
import { elementCount } from '../weights/dtype.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import type { ModelSettings } from './model-settings.ts';
import type { ModelBorders, TensorMap } from './runner.ts';
import { optimumInput } from './tensor-names.ts';

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
}

/** What the dimensions of each network's inputs are, in optimum's layout. */
const dimensions: {
  readonly [K in ModelName]: Readonly<Record<string, readonly (keyof InputSizes)[]>>;
} = {
  text_encoder: { input_ids: ['batch', 'tokens'] },
  unet: {
    sample: ['batch', 'latentChannels', 'latentHeight', 'latentWidth'],
    encoder_hidden_states: ['batch', 'tokens', 'textChannels'],
  },
  vae_decoder: { latent_sample: ['batch', 'latentChannels', 'latentHeight', 'latentWidth'] },
  vae_encoder: { sample: ['batch', 'colours', 'height', 'width'] },
};

/** A picture has 8 pixels for each latent in height and width. */
const PIXELS = 8;

/**
 * The sizes to run a model and its reference at: those that either declares, else those the network was trained on. The
 * text encoder and the UNet get two rows, as under classifier-free guidance. Throws `RequestError` when the two declare
 * different sizes.
 */
export function inputSizes(
  network: ModelName,
  { sampleSize = 64, textChannels }: ModelSettings,
  models: readonly ModelBorders[],
): InputSizes {
  const declared: { -readonly [K in keyof InputSizes]?: number } = {};
  for (const { path, inputs } of models) {
    for (const { name, dims } of inputs) {
      const meanings = dimensions[network][optimumInput(name)] ?? [];
      // Where optimum has [B,S,C], Apple has [B,C,1,S].
      const isApple = meanings.length === 3 && dims.length === 4;
      for (const [axis, meaning] of meanings.entries()) {
        const size = dims[isApple ? ([0, 3, 1][axis] ?? axis) : axis];
        if (typeof size !== 'number') continue;
        declared[meaning] ??= size;
        if (declared[meaning] !== size) throw otherSize(path, name, declared[meaning], size);
      }
    }
  }
  return {
    batch: network === 'text_encoder' || network === 'unet' ? 2 : 1,
    tokens: 77,
    ...(textChannels !== undefined && { textChannels }),
    latentChannels: 4,
    latentHeight: sampleSize,
    latentWidth: sampleSize,
    colours: 3,
    height: sampleSize * PIXELS,
    width: sampleSize * PIXELS,
    ...declared,
  };
}

/**
 * Inputs for a network at given sizes. `text` [B,S,C] is what the text encoder gave: the UNet takes its rows in turn, and
 * random numbers where it is left out or of another size. Throws `RequestError` when nothing tells its channels.
 */
export function realisticCases(
  network: ModelName,
  sizes: InputSizes,
  settings: ModelSettings,
  text?: TensorData,
): InputCase[] {
  const rng = createRng('numpy', SEED);
  const { batch, latentChannels, latentHeight, latentWidth, colours, height, width } = sizes;
  const latents = (scale: number) => normal(rng, [batch, latentChannels, latentHeight, latentWidth], scale);
  switch (network) {
    case 'text_encoder':
      return [{ name: 'prompts', tensors: new Map([['input_ids', prompts(rng, sizes, settings)]]) }];
    case 'unet': {
      const hiddenStates = hiddenStatesOf(rng, sizes, text);
      return TIMESTEPS.map((timestep) => ({
        name: `timestep ${timestep}`,
        tensors: new Map<string, TensorData>([
          ['sample', latents(1)],
          ['timestep', { dtype: 'f32', shape: [], data: Float32Array.of(timestep) }],
          ['encoder_hidden_states', hiddenStates],
        ]),
      }));
    }
    case 'vae_decoder': {
      const { scalingFactor = 0.18215 } = settings;
      return [{ name: 'latents', tensors: new Map([['latent_sample', latents(1 / scalingFactor)]]) }];
    }
    case 'vae_encoder':
      return [
        { name: 'picture', tensors: new Map([['sample', picture(rng, [batch, colours, height, width])]]) },
      ];
  }
}

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
function prompts(
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

function hiddenStatesOf(rng: Rng, sizes: InputSizes, text: TensorData | undefined): TensorData {
  const { batch, tokens, textChannels = text?.shape[2] } = sizes;
  if (textChannels === undefined) {
    throw new RequestError({
      problem: 'nothing says how many channels the encoder_hidden_states of this UNet have.',
      advice:
        'Compare with recorded inputs and outputs (.safetensors), or put the config.json of the UNet beside it.',
    });
  }
  const shape = [batch, tokens, textChannels];
  if (text?.dtype !== 'f32' || text.shape.slice(1).join() !== shape.slice(1).join())
    return normal(rng, shape, 1);
  const data = Float32Array.from(
    { length: elementCount(shape) },
    (_, i) => text.data[i % text.data.length] ?? 0,
  );
  return { dtype: 'f32', shape, data };
}

function normal(rng: Rng, shape: readonly number[], scale: number): TensorData {
  return { dtype: 'f32', shape, data: rng.normal(elementCount(shape)).map((value) => value * scale) };
}

/** Slow waves of colour within −1…1: [B,C,H,W]. */
function picture(rng: Rng, shape: readonly [number, number, number, number]): TensorData {
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

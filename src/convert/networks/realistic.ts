import type { Rng } from '../../random/rng.ts';
import { elementCount } from '../../weights/dtype.ts';
import type { TensorData } from '../../weights/tensor-data.ts';

/**
 * What the cards make realistic inputs of: numbers such as a network meets in use. Uniform noise, as converters often
 * test with, hides what a real prompt, a late timestep or a picture shows.
 */

/** One set of inputs, in optimum's names and layouts. */
export interface InputCase {
  /** What tells it from the others: `timestep 981`. */
  readonly name: string;
  readonly tensors: ReadonlyMap<string, TensorData>;
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

/** What a dimension of a network's input or output is. */
export type Axis = Exclude<keyof InputSizes, 'residuals'>;

/** What a reference's text encoders give for realistic prompts. */
export interface EncodedPrompts {
  /** Hidden states [B,S,C]: of each encoder, and of all side by side. */
  readonly hidden: readonly TensorData[];
  /** Pooled text [B,C], of the last encoder that projects it. */
  readonly pooled?: TensorData | undefined;
}

/** What realistic inputs depend on and a model's file does not say; what no config says is left out. */
export interface ModelSettings {
  /** Height and width of the latents that the UNet was trained on. */
  readonly sampleSize?: number;
  /** Channels of the hidden states that the UNet attends to. */
  readonly textChannels?: number;
  /** Standard deviation of the VAE's latents is 1 / scalingFactor. */
  readonly scalingFactor?: number;
  /** Token ids are below it. */
  readonly vocabularySize?: number;
}

/** One case of inputs that are named. */
export function onlyCase(name: string, ...tensors: (readonly [string, TensorData])[]): InputCase[] {
  return [{ name, tensors: new Map(tensors) }];
}

/** Latents [B,C,h,w] without direction, of a standard deviation. */
export function latents(rng: Rng, sizes: InputSizes, deviation: number): TensorData {
  const { batch, latentChannels, latentHeight, latentWidth } = sizes;
  return normal(rng, [batch, latentChannels, latentHeight, latentWidth], deviation);
}

/** Numbers of the normal distribution, by a standard deviation. */
export function normal(rng: Rng, shape: readonly number[], scale: number): Picture {
  return { dtype: 'f32', shape, data: rng.normal(elementCount(shape)).map((value) => value * scale) };
}

/** Slow waves of colour within −1…1: [B,C,H,W]. */
export function picture(rng: Rng, shape: readonly [number, number, number, number]): Picture {
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
export function zeroToOne({ shape, data }: Picture): Picture {
  return { dtype: 'f32', shape, data: data.map((value) => (value + 1) / 2) };
}

/** [B,C,H,W] → [B,H,W,C]. */
export function channelsLast({ shape, data }: Picture): Picture {
  const [batch = 0, colours = 0, height = 0, width = 0] = shape;
  const area = height * width;
  const turned = new Float32Array(data.length);
  for (let plane = 0; plane < batch * colours; plane++) {
    const start = Math.floor(plane / colours) * colours * area + (plane % colours);
    for (let at = 0; at < area; at++) turned[start + at * colours] = data[plane * area + at] ?? 0;
  }
  return { dtype: 'f32', shape: [batch, height, width, colours], data: turned };
}

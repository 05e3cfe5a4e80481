import type { Rng } from '../../random/rng.ts';
import { elementCount } from '../../weights/dtype.ts';
import type { TensorData } from '../../weights/tensor-data.ts';

/**
 * Building blocks of realistic inputs, whose numbers are like those in use. Converters often test with uniform noise,
 * which hides errors that a real prompt, a late timestep or a picture shows.
 */

/** One set of inputs, in optimum's names and layouts. */
export interface InputCase {
  /** Distinguishes it from the network's other cases: `timestep 981`. */
  readonly name: string;
  readonly tensors: ReadonlyMap<string, TensorData>;
}

/** Sizes of the inputs: of the prompt, the latents and the picture. */
export interface InputSizes {
  readonly batch: number;
  readonly tokens: number;
  /** Channels of the hidden states that a UNet attends to; absent where unknown. */
  readonly textChannels?: number;
  readonly latentChannels: number;
  readonly latentHeight: number;
  readonly latentWidth: number;
  readonly colours: number;
  readonly height: number;
  readonly width: number;
  /** Channels of the pooled text that SDXL's UNet takes; absent for others. */
  readonly pooledChannels?: number;
  /** Number of SDXL's time_ids: 6, for a refiner 5. */
  readonly timeIds?: number;
  /** Channels of the guidance scale embedding that LCM's UNet takes. */
  readonly guidanceChannels?: number;
  /** Height and width of a safety checker's `clip_input`. */
  readonly clipSize?: number;
  /** Shapes of the residuals that a UNet takes from a ControlNet, by input name. */
  readonly residuals?: ReadonlyMap<string, readonly number[]>;
}

/** Meaning of a dimension of an input or output. */
export type Axis = Exclude<keyof InputSizes, 'residuals'>;

/** Outputs of a reference's text encoders for realistic prompts. */
export interface EncodedPrompts {
  /** Hidden states [B,S,C] of each encoder, and those of all encoders concatenated. */
  readonly hidden: readonly TensorData[];
  /** Pooled text [B,C] of the last encoder that projects it. */
  readonly pooled?: TensorData | undefined;
}

/** Settings of realistic inputs that model files lack; those unknown from the config, too, are left out. */
export interface ModelSettings {
  /** Height and width of the latents that the UNet was trained on. */
  readonly sampleSize?: number;
  /** Channels of the hidden states that the UNet attends to. */
  readonly textChannels?: number;
  /** The VAE's latents have a standard deviation of 1 / scalingFactor. */
  readonly scalingFactor?: number;
  /** Number of token ids, which begin at 0. */
  readonly vocabularySize?: number;
  /** Token id that fills prompts up; where unknown, the last of the vocabulary, which ends them. */
  readonly padding?: number;
}

/** A network's only case, with these inputs. */
export function onlyCase(name: string, ...tensors: (readonly [string, TensorData])[]): InputCase[] {
  return [{ name, tensors: new Map(tensors) }];
}

/** Normally distributed latents [B,C,h,w] of a standard deviation. */
export function latents(rng: Rng, sizes: InputSizes, deviation: number): TensorData {
  const { batch, latentChannels, latentHeight, latentWidth } = sizes;
  return normal(rng, [batch, latentChannels, latentHeight, latentWidth], deviation);
}

/** Normally distributed numbers; `scale` is their standard deviation. */
export function normal(rng: Rng, shape: readonly number[], scale: number): Picture {
  return { dtype: 'f32', shape, data: rng.normal(elementCount(shape)).map((value) => value * scale) };
}

/** A picture of smooth waves of colour [B,C,H,W] in −1…1. */
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

import { join } from 'node:path';
import { z } from 'zod';
import { type Family, kindByChannels, kindTitles } from '../checkpoint/family.ts';
import { ConfigError, RequestError, UnsupportedModelError } from '../errors.ts';
import { withArtifact } from '../formats/open.ts';
import { readJsonObject } from '../io/python-json.ts';
import type { ModelInFolder } from '../run/find-models.ts';
import { optimumInput } from '../run/tensor-names.ts';

/** Facts about a UNet, read from its inputs; no weight has been read. */
export interface DrawnUnet {
  readonly family: Exclude<Family, 'sdxl-refiner'>;
  /** Height and width of its latents: the fixed size it was converted for, or else the size it was trained on. */
  readonly size: readonly [height: number, width: number];
  /** Whether it accepts only this size. */
  readonly isFixed: boolean;
  /** Number of prompt tokens that it takes; `undefined` if any. */
  readonly tokens: number | undefined;
}

type Shapes = ReadonlyMap<string, readonly (number | string)[]>;

/** Channels of the latents. */
export const LATENT_CHANNELS = 4;

/**
 * Reads the family and the latent size from a UNet's inputs. Throws `RequestError` for a UNet that needs more than a
 * prompt and noise, `ConfigError` when its size is unknown, and what `openArtifact` throws.
 */
export async function readDrawnUnet({ paths: [path = ''] }: ModelInFolder): Promise<DrawnUnet> {
  const { inputs } = await withArtifact(path, (artifact) => artifact.facts());
  const shapes: Shapes = new Map(inputs.map(({ name, shape }) => [optimumInput(name), shape ?? []]));
  const [, channels, height, width] = shapes.get('sample') ?? [];
  if (typeof channels !== 'number') throw noUnet(path, [...shapes.keys()]);
  const obstacle = obstacleOf(channels, shapes);
  if (obstacle !== undefined)
    throw new RequestError({
      problem: `generate cannot use ${path}: it ${obstacle}.`,
      details: { 'it takes': [...shapes].map(([name, dims]) => `${name} [${dims.join(', ')}]`).join(', ') },
      advice: 'Name the conversion of a text-to-image checkpoint.',
    });
  const isFixed = typeof height === 'number' && typeof width === 'number';
  return {
    family: familyBy(shapes),
    isFixed,
    size: isFixed ? [height, width] : await trainedSize(path),
    tokens: tokensIn(shapes),
  };
}

const configSchema = z.object({ sample_size: z.union([z.int(), z.tuple([z.int(), z.int()])]) });

async function trainedSize(unet: string): Promise<[number, number]> {
  const { data } = configSchema.safeParse(await readJsonObject(join(unet, 'config.json')));
  if (!data)
    throw new ConfigError({
      problem: `the config in ${unet} does not say sample_size.`,
      advice: 'Convert the checkpoint again.',
    });
  const [height = 0, width = height] = [data.sample_size].flat();
  return [height, width];
}

/** Says why a prompt and noise are not enough, as the end of a sentence about the UNet. */
function obstacleOf(channels: number, shapes: Shapes): string | undefined {
  const names = [...shapes.keys()];
  if (names.some((name) => name.includes('additional_residual'))) return "takes a ControlNet's residuals";
  if (shapes.has('timestep_cond')) return 'takes the guidance scale as an input (LCM)';
  if (shapes.get('time_ids')?.at(-1) === REFINER_IDS)
    return 'is a refiner, which finishes what a base model starts';
  const kind = kindByChannels(channels);
  if (kind === 'base') return undefined;
  return `takes ${channels} channels${kind ? `, for ${kindTitles[kind]}` : ''}`;
}

/** Width of a refiner's `time_ids`: one aesthetic score takes the place of the target height and width. */
const REFINER_IDS = 5;

/** Channels of the text embeddings of Stable Diffusion 2; Stable Diffusion 1 has 768. */
const SD2_TEXT_CHANNELS = 1024;

/** Text embeddings are [B,S,C], or [B,C,1,S] in Core ML. */
function textOf(shapes: Shapes) {
  const text = shapes.get('encoder_hidden_states') ?? [];
  const [channels, tokens] = text.length === 4 ? [text[1], text[3]] : [text[2], text[1]];
  return { channels, tokens };
}

function familyBy(shapes: Shapes): DrawnUnet['family'] {
  if (shapes.has('time_ids')) return 'sdxl';
  return textOf(shapes).channels === SD2_TEXT_CHANNELS ? 'sd2' : 'sd1';
}

function tokensIn(shapes: Shapes): number | undefined {
  const { tokens } = textOf(shapes);
  return typeof tokens === 'number' ? tokens : undefined;
}

function noUnet(path: string, inputs: readonly string[]): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${path} is named as a UNet, but has no input called sample with a known number of channels.`,
    details: { 'it takes': inputs.join(', ') || 'nothing' },
  });
}

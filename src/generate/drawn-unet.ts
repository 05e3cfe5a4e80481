import { join } from 'node:path';
import { z } from 'zod';
import { type Family, kindByChannels, kindTitles } from '../checkpoint/family.ts';
import { ConfigError, RequestError, UnsupportedModelError } from '../errors.ts';
import { withArtifact } from '../formats/open.ts';
import { readJsonObject } from '../io/python-json.ts';
import type { ModelInFolder } from '../run/find-models.ts';
import { optimumInput } from '../run/tensor-names.ts';

/** What a UNet's inputs tell of it; no weight has been read. */
export interface DrawnUnet {
  readonly family: Exclude<Family, 'sdxl-refiner'>;
  /** Height and width of its latents: those that it was made for, else those that it was trained on. */
  readonly size: readonly [height: number, width: number];
  /** Whether it takes no other size. */
  readonly isFixed: boolean;
}

type Shapes = ReadonlyMap<string, readonly (number | string)[]>;

/** Channels of the latents that are drawn. */
export const LATENT_CHANNELS = 4;

/**
 * Reads what a UNet takes. Throws `RequestError` for one that a prompt and noise are not enough for, `ConfigError` where
 * nothing says its size, and as `openArtifact` does.
 */
export async function readDrawnUnet({ paths: [path = ''] }: ModelInFolder): Promise<DrawnUnet> {
  const { inputs } = await withArtifact(path, (artifact) => artifact.facts());
  const shapes: Shapes = new Map(inputs.map(({ name, shape }) => [optimumInput(name), shape ?? []]));
  const [, channels, height, width] = shapes.get('sample') ?? [];
  if (typeof channels !== 'number') throw noUnet(path, [...shapes.keys()]);
  const obstacle = obstacleOf(channels, shapes);
  if (obstacle !== undefined)
    throw new RequestError({
      problem: `${path} ${obstacle}, which generate cannot draw with.`,
      details: { 'it takes': [...shapes].map(([name, dims]) => `${name} [${dims.join(', ')}]`).join(', ') },
      advice: 'Name the folder of a checkpoint that draws from a prompt alone.',
    });
  const isFixed = typeof height === 'number' && typeof width === 'number';
  return { family: familyBy(shapes), isFixed, size: isFixed ? [height, width] : await trainedSize(path) };
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

/** Why a prompt and noise are not enough: the rest of a sentence about the UNet. */
function obstacleOf(channels: number, shapes: Shapes): string | undefined {
  const names = [...shapes.keys()];
  if (names.some((name) => name.includes('additional_residual'))) return "takes a ControlNet's residuals";
  if (shapes.has('timestep_cond')) return 'is told the guidance scale (LCM)';
  if (shapes.get('time_ids')?.at(-1) === REFINER_IDS)
    return 'is a refiner, which continues what another began';
  const kind = kindByChannels(channels);
  if (kind === 'base') return undefined;
  return `reads ${channels} channels${kind ? `: it is made for ${kindTitles[kind]}` : ''}`;
}

/** A refiner is told a score for beauty instead of the size that is wanted. */
const REFINER_IDS = 5;

/** Channels of the text that each family's UNet attends to. */
const SD2_TEXT_CHANNELS = 1024;

/** Text is [B,S,C], or as Core ML has it [B,C,1,S]. */
function familyBy(shapes: Shapes): DrawnUnet['family'] {
  if (shapes.has('time_ids')) return 'sdxl';
  const text = shapes.get('encoder_hidden_states') ?? [];
  return (text.length === 4 ? text[1] : text[2]) === SD2_TEXT_CHANNELS ? 'sd2' : 'sd1';
}

function noUnet(path: string, inputs: readonly string[]): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${path} is called a UNet, but has no input called sample with a known number of channels.`,
    details: { 'it takes': inputs.join(', ') || 'nothing' },
  });
}

import { join } from 'node:path';
import { z } from 'zod';
import { type Family, kindByChannels, kindTitles, type UNetKind } from '../checkpoint/family.ts';
import { latentSide, widths } from '../convert/config/number-ranges.ts';
import { parseConfig } from '../convert/config/parse-config.ts';
import { UnsupportedModelError } from '../errors.ts';
import { modelPlace } from '../formats/format.ts';
import { withArtifact } from '../formats/open.ts';
import { readJsonObject } from '../io/json/python-json.ts';
import { type Chunk, checkChunks } from '../run/check-chunks.ts';
import { checkDeclaredInputs } from '../run/declared-inputs.ts';
import type { ModelInFolder } from '../run/find-models.ts';
import { optimumInput } from '../run/tensor-names.ts';
import { isOfRefiner } from '../run/xl-models.ts';

/** Facts about a UNet, read from its inputs; no weight has been read. */
export interface DrawnUnet {
  readonly family: Family;
  /** Whether one text encoder gives it all of XL's text, as Core AI has it; it has the sizes of the picture inside. */
  readonly hasOneText: boolean;
  /** The task it was trained for. */
  readonly kind: Exclude<UNetKind, 'depth'>;
  /** Height and width of its latents: the fixed size it was converted for, or else the size it was trained on. */
  readonly size: readonly [height: number, width: number];
  /** Number that the latents' height and width must be divisible by; `undefined` when the size is fixed. */
  readonly multiple: number | undefined;
  /** Width of `timestep_cond`, the embedding of the guidance scale (LCM). */
  readonly guidanceChannels: number | undefined;
  /** Whether its timesteps are whole numbers. */
  readonly hasWholeTimesteps: boolean;
  /** Number of prompt tokens that it takes; `undefined` if any. */
  readonly tokens: number | undefined;
  /** Shapes of its inputs. */
  readonly shapes: Shapes;
  /** The checkpoint that it says it is of, as Core ML models do. */
  readonly version: string | undefined;
}

/** Shapes of a model's inputs, by optimum's names; a string is the name of a free dimension. */
export type Shapes = ReadonlyMap<string, readonly (number | string)[]>;

/**
 * Reads the facts about a UNet; `readsOneText`: whether its text encoder gives all of XL's text in one tensor. Throws `UnsupportedModelError` for one with inputs that generate cannot provide,
 * `ConfigError` when its size is unknown, and what `openArtifact` throws.
 */
export async function readDrawnUnet(
  model: Pick<ModelInFolder, 'paths'>,
  readsOneText = false,
): Promise<DrawnUnet> {
  const [path = ''] = model.paths;
  const { shapes, dtypes, version } = await inputsOf(model);
  const hasOneText = readsOneText && !shapes.has('time_ids');
  const [, channels, height, width] = shapes.get('sample') ?? [];
  const kind = typeof channels === 'number' ? kindByChannels(channels) : undefined;
  if (kind === undefined || kind === 'depth') throw unknownUnet(path, shapes, kind);
  const isFixed = typeof height === 'number' && typeof width === 'number';
  const { tokens } = textSizes(shapes);
  const guidanceChannels = Number(shapes.get('timestep_cond')?.at(-1) ?? 0);
  return {
    family: hasOneText ? 'sdxl' : familyBy(shapes),
    hasOneText,
    kind: kind === 'base' && guidanceChannels > 0 ? 'lcm' : kind,
    ...(isFixed ? { size: [height, width], multiple: undefined } : await trainedSize(path)),
    guidanceChannels: guidanceChannels || undefined,
    hasWholeTimesteps: dtypes.get('timestep')?.includes('int') ?? false,
    tokens: typeof tokens === 'number' ? tokens : undefined,
    shapes,
    version,
  };
}

/** Reads the shapes of a model's inputs, of all chunks together; no weight is read. Throws as `inputsOf`. */
export async function shapesOf(model: Pick<ModelInFolder, 'paths'>): Promise<Shapes> {
  return (await inputsOf(model)).shapes;
}

/**
 * Reads what a model takes, all chunks together, and the checkpoint that it says it is of; no weight is read. Throws what
 * `openArtifact` throws, and `FileFormatError` for chunks that make no model and inputs of absurd sizes.
 */
export async function inputsOf({ paths }: Pick<ModelInFolder, 'paths'>) {
  const shapes = new Map<string, readonly (number | string)[]>();
  const dtypes = new Map<string, string>();
  const parts: Chunk[] = [];
  for (const path of paths) {
    const facts = await withArtifact(path, (artifact) => artifact.facts());
    checkDeclaredInputs(
      path,
      facts.inputs.map(({ name, shape }) => ({ name, dims: shape ?? [] })),
    );
    parts.push({ ...facts, path });
    for (const { name, shape, dtype } of facts.inputs) {
      shapes.set(optimumInput(name), shape ?? []);
      dtypes.set(optimumInput(name), dtype);
    }
  }
  checkChunks(parts);
  return { shapes, dtypes, version: parts[0]?.metadata.version };
}

const configSchema = z.object({
  sample_size: z.union([latentSide, z.tuple([latentSide, latentSide])], 'a number, or a height and a width'),
  block_out_channels: widths,
});

/** The size it was trained on; every level but the last halves it. */
async function trainedSize(unet: string): Promise<Pick<DrawnUnet, 'size' | 'multiple'>> {
  const configFile = join(modelPlace(unet), 'config.json');
  const data = parseConfig(configSchema, {
    name: 'unet',
    config: await readJsonObject(configFile),
    configFile,
  });
  const [height = 0, width = height] = [data.sample_size].flat();
  return { size: [height, width], multiple: 2 ** (data.block_out_channels.length - 1) };
}

/** Channels of the text embeddings of Stable Diffusion 2; Stable Diffusion 1 has 768. */
const SD2_TEXT_CHANNELS = 1024;

/** Sizes of the text embeddings, which are [B,S,C], or [B,C,1,S] in Core ML. */
export function textSizes(shapes: Shapes) {
  const text = shapes.get('encoder_hidden_states') ?? [];
  const [channels, tokens] = text.length === 4 ? [text[1], text[3]] : [text[2], text[1]];
  return { channels, tokens };
}

function familyBy(shapes: Shapes): Family {
  const ids = shapes.get('time_ids')?.at(-1);
  if (ids !== undefined) return isOfRefiner(ids) ? 'sdxl-refiner' : 'sdxl';
  return textSizes(shapes).channels === SD2_TEXT_CHANNELS ? 'sd2' : 'sd1';
}

function unknownUnet(path: string, shapes: Shapes, kind: 'depth' | undefined): UnsupportedModelError {
  const sample = shapes.get('sample');
  const inputs = [...shapes].map(([name, dims]) => `${name} [${dims.join(', ')}]`);
  return new UnsupportedModelError({
    problem: sample
      ? `generate cannot use ${path}: it takes ${sample[1]} channels${kind ? `, for ${kindTitles[kind]}` : ''}.`
      : `${path} is named as a UNet, but has no input called sample.`,
    details: { 'it takes': inputs.join(', ') || 'nothing' },
    advice: 'Use a UNet for text to image, inpainting or pix2pix, such as sdconvert writes.',
  });
}

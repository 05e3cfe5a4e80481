import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Checkpoint, type Component, natureOf } from '../src/checkpoint/checkpoint.ts';
import type { Weight } from '../src/weights/weight.ts';

/** A network at its real size: its configuration and the shape of every tensor, without numbers. */
export interface FullSizeComponent {
  readonly config: Component['config'];
  readonly weights: Readonly<Record<string, readonly number[]>>;
}

/** The models whose lists test/python/make_full_size_lists.py wrote. */
export const fullSizeModels = ['sd15', 'sd21', 'sd21-base', 'sdxl'] as const;

export type FullSizeModel = (typeof fullSizeModels)[number];

/** The components of a model by folder name: `text_encoder`, `unet`, `vae`. */
export function fullSizeComponents(model: FullSizeModel): Readonly<Record<string, FullSizeComponent>> {
  return JSON.parse(readFileSync(listOf(model), 'utf8'));
}

/**
 * A UNet with its channels scaled: Stable Diffusion's widths are multiples of 320, and 32 groups must still divide them. Other
 * components stay as they are.
 */
export function withWidths(
  components: Readonly<Record<string, FullSizeComponent>>,
  scale: number,
): Readonly<Record<string, FullSizeComponent>> {
  const { unet, ...others } = components;
  if (!unet) return components;
  const scaled = (size: number): number => (size % 320 === 0 ? size * scale : size);
  const channels = unet.config.block_out_channels;
  if (!Array.isArray(channels)) throw new Error('a UNet without block_out_channels');
  const weights = Object.entries(unet.weights).map(([name, shape]) => [name, shape.map(scaled)]);
  const config = { ...unet.config, block_out_channels: channels.map(Number).map(scaled) };
  return { ...others, unet: { config, weights: Object.fromEntries(weights) } };
}

/** A text encoder with a vocabulary so large that its embeddings are one tensor of `bytes` (float32). */
export function withEmbeddings(
  components: Readonly<Record<string, FullSizeComponent>>,
  bytes: number,
): Readonly<Record<string, FullSizeComponent>> {
  const { text_encoder: encoder } = components;
  const [name, shape] =
    Object.entries(encoder?.weights ?? {}).find(([key]) => key.endsWith('token_embedding.weight')) ?? [];
  const width = shape?.[1];
  if (!encoder || name === undefined || width === undefined) throw new Error('no embeddings to enlarge');
  const words = Math.ceil(bytes / 4 / width);
  const weights = { ...encoder.weights, [name]: [words, width] };
  return { ...components, text_encoder: { config: { ...encoder.config, vocab_size: words }, weights } };
}

/** The model as a checkpoint that graphs can be built from. Reading a weight of it throws. */
export function fullSizeCheckpoint(model: FullSizeModel): Checkpoint {
  const path = listOf(model);
  const components = Object.entries(fullSizeComponents(model)).map(
    ([name, { config, weights }]): [string, Component] => [
      name,
      {
        name,
        className: String(config._class_name ?? 'CLIPTextModel'),
        config,
        configFile: path,
        weights: new Map(
          Object.entries(weights).map(([weight, shape]) => [weight, unreadable(weight, shape, path)]),
        ),
        files: [path],
      },
    ],
  );
  return {
    name: model,
    path,
    modelIndex: {},
    components: new Map(components),
    folders: new Map(),
    missing: [],
    ...natureOf(new Map(components)),
    notes: [],
    close: async () => {},
  };
}

function unreadable(name: string, shape: readonly number[], file: string): Weight {
  return {
    name,
    dtype: 'f32',
    shape,
    file,
    stream() {
      throw new Error(`${name} has no numbers: ${file} lists shapes only`);
    },
  };
}

function listOf(model: FullSizeModel): string {
  return fileURLToPath(new URL(`../test/fixtures/full-size/${model}.json`, import.meta.url));
}

import { RequestError } from '../errors.ts';
import { type Graph, GraphBuilder } from '../graph/graph.ts';
import { Scope } from '../graph/scope.ts';
import { type Ignored, WeightBook } from '../graph/weight-book.ts';
import { type Checkpoint, type Component, requireComponent } from '../weights/checkpoint.ts';
import type { AttentionImplementation } from './blocks/attention.ts';
import { clipTextConfig } from './config/clip-text-config.ts';
import { unetConfig } from './config/unet-config.ts';
import { vaeConfig } from './config/vae-config.ts';
import type { Contract, ModelName, Sizes } from './contracts/contract.ts';
import { withPresentNames } from './names/old-vae-attention.ts';

/** A network of a checkpoint as a graph: no weight has been read. */
export interface Model {
  readonly name: ModelName;
  /** What it is made of: a folder of the checkpoint. */
  readonly component: Component;
  readonly graph: Graph;
}

/** How the networks are to be built. */
export interface ConvertOptions {
  /** Which networks; all that the checkpoint has when left out. */
  readonly models?: readonly ModelName[] | undefined;
  /** Names, shapes and dtypes at the borders. */
  readonly contract: Contract;
  readonly attention: AttentionImplementation;
  readonly sizes: Sizes;
}

interface Recipe {
  /** The checkpoint's folder for it. */
  readonly component: string;
  /** What to call it in a sentence. */
  readonly title: string;
  /** The folder's tensors that it leaves alone. */
  readonly ignored: readonly Ignored[];
  build(at: Scope, component: Component, options: ConvertOptions): Graph;
}

const recipes: { readonly [K in ModelName]: Recipe } = {
  text_encoder: {
    component: 'text_encoder',
    title: 'the text encoder',
    ignored: [
      {
        names: /^text_model\.embeddings\.position_ids$/,
        reason: 'the numbers 0 … 76, which old versions of transformers saved',
      },
    ],
    build: (at, component, { contract, sizes }) =>
      contract.text_encoder(at, clipTextConfig(component), sizes),
  },
  unet: {
    component: 'unet',
    title: 'the UNet',
    ignored: [],
    build(at, component, { contract, sizes, attention }) {
      const config = unetConfig(component);
      checkLatentSizes(sizes, 2 ** (config.block_out_channels.length - 1));
      return contract.unet(at, config, fixedWhereNeeded(sizes, attention, config.sample_size), attention);
    },
  },
  vae_decoder: {
    component: 'vae',
    title: 'the VAE decoder',
    ignored: [{ names: /^(encoder|quant_conv)\./, reason: 'belongs to the VAE encoder' }],
    build: (at, component, { contract, sizes }) => contract.vae_decoder(at, vaeConfig(component), sizes),
  },
  vae_encoder: {
    component: 'vae',
    title: 'the VAE encoder',
    ignored: [{ names: /^(decoder|post_quant_conv)\./, reason: 'belongs to the VAE decoder' }],
    build: (at, component, { contract, sizes }) => contract.vae_encoder(at, vaeConfig(component), sizes),
  },
};

/** Every network, in the order they run. */
// Object.keys gives strings; the table above has exactly these keys.
export const modelNames = Object.keys(recipes) as readonly ModelName[];

/** The checkpoint's folder that a network is made of. */
export function componentOf(name: ModelName): string {
  return recipes[name].component;
}

/**
 * The graphs of a checkpoint's networks. Throws `NotFoundError` for a network it does not have, `ConfigError`,
 * `MissingWeightError`, `UnusedWeightError` and `ShapeError` when config and weights are not those of one network,
 * `RequestError` for sizes that the network cannot take.
 */
export function convert(checkpoint: Checkpoint, options: ConvertOptions): Model[] {
  const names = options.models ?? modelNames.filter((name) => checkpoint.components.has(componentOf(name)));
  const sizes = options.contract.fixedSizes ? { ...ownSizes(checkpoint), ...options.sizes } : options.sizes;
  return names.map((name) => convertModel(checkpoint, name, { ...options, sizes }));
}

/** The size of latents that the checkpoint was made for; a VAE alone does not say. */
function ownSizes({ components }: Checkpoint): Sizes {
  const unet = components.get('unet');
  if (!unet) return {};
  const { sample_size } = unetConfig(unet);
  return { latentHeight: sample_size, latentWidth: sample_size };
}

function convertModel(checkpoint: Checkpoint, name: ModelName, options: ConvertOptions): Model {
  const recipe = recipes[name];
  const component = requireComponent(checkpoint, recipe.component);
  const weights = new WeightBook(
    recipe.title,
    recipe.component === 'vae' ? withPresentNames(component.weights) : component.weights,
  );
  const graph = recipe.build(new Scope(new GraphBuilder(), weights), component, options);
  weights.finish(recipe.ignored);
  return { name, component, graph };
}

/** Attention in chunks of queries needs to know how many there are. */
function fixedWhereNeeded(sizes: Sizes, attention: AttentionImplementation, sampleSize: number): Sizes {
  return attention === 'SPLIT_EINSUM_V2'
    ? { latentHeight: sampleSize, latentWidth: sampleSize, ...sizes }
    : sizes;
}

function checkLatentSizes(sizes: Sizes, multiple: number): void {
  for (const [side, size] of [
    ['height', sizes.latentHeight],
    ['width', sizes.latentWidth],
  ] as const) {
    if (size === undefined || (Number.isInteger(size) && size > 0 && size % multiple === 0)) continue;
    const nearest = Math.max(1, Math.round(size / multiple)) * multiple;
    throw new RequestError({
      problem: `a latent ${side} of ${size} does not suit this UNet: it halves it ${Math.log2(multiple)} times, so it must be a multiple of ${multiple}.`,
      details: { [`latent ${side}`]: `${size} (a picture ${side} of ${size * 8} pixels)` },
      advice: `Take ${nearest} (${nearest * 8} pixels).`,
    });
  }
}

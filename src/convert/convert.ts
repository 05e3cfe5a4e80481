import { type Checkpoint, type Component, requireComponent } from '../checkpoint/checkpoint.ts';
import { RequestError } from '../errors.ts';
import { type Graph, GraphBuilder } from '../graph/graph.ts';
import { Scope } from '../graph/scope.ts';
import { type Ignored, WeightBook } from '../graph/weight-book.ts';
import type { AttentionImplementation } from './blocks/attention.ts';
import { clipTextConfig } from './config/clip-text-config.ts';
import { controlnetConfig } from './config/controlnet-config.ts';
import { safetyCheckerConfig } from './config/safety-checker-config.ts';
import { unetConfig } from './config/unet-config.ts';
import {
  type Contract,
  type NetworkKind,
  type NetworkName,
  networkKind,
  type Sizes,
} from './contracts/contract.ts';
import { withPresentNames } from './names/old-vae-attention.ts';
import { traitsOf } from './traits.ts';
import { vaeClass, vaeOf } from './vae.ts';

/** A network of a checkpoint as a graph: no weight has been read. */
export interface Model {
  readonly name: NetworkName;
  /** What it is made of: a folder of the checkpoint. */
  readonly component: Component;
  readonly graph: Graph;
  /** Why it must not be computed in float16, a sentence; `undefined` where it may. */
  readonly needsFloat32?: string | undefined;
}

/** How the networks are to be built. */
export interface ConvertOptions {
  /** Which networks; all that the checkpoint has when left out. */
  readonly models?: readonly NetworkName[] | undefined;
  /** Whether, where no networks are named, the UNet is the one that takes a ControlNet's residuals. */
  readonly controlledUnet?: boolean | undefined;
  /** Names, shapes and dtypes at the borders. */
  readonly contract: Contract;
  readonly attention: AttentionImplementation;
  readonly sizes: Sizes;
}

interface Recipe {
  /** The checkpoint's folder for it; of several ControlNets, the first's. */
  readonly component: string;
  /** What to call it in a sentence. */
  readonly title: string;
  /** The folder's tensors that it leaves alone. */
  readonly ignored: readonly Ignored[];
  build(at: Scope, component: Component, options: ConvertOptions, checkpoint: Checkpoint): Graph;
  /** Why it must not be computed in float16, where it must not. */
  needsFloat32?(component: Component, checkpoint: Checkpoint): string | undefined;
}

const positionIds: Ignored = {
  names: /^(text_model|vision_model\.vision_model)\.embeddings\.position_ids$/,
  reason: 'the numbers 0, 1, 2, … of the positions, which old versions of transformers saved',
};

const recipes: { readonly [K in NetworkKind]: Recipe } = {
  text_encoder: {
    component: 'text_encoder',
    title: 'the text encoder',
    ignored: [positionIds],
    build: (at, component, { contract }, checkpoint) =>
      contract.text_encoder(at, clipTextConfig(component), { xl: traitsOf(checkpoint).isXl }),
  },
  text_encoder_2: {
    component: 'text_encoder_2',
    title: 'the second text encoder',
    ignored: [positionIds],
    build: (at, component, { contract }) => contract.text_encoder_2(at, clipTextConfig(component)),
  },
  controlnet: {
    component: 'controlnet',
    title: 'the ControlNet',
    ignored: [],
    build(at, component, options, checkpoint) {
      const config = controlnetConfig(component);
      const sizes = denoiserSizes('ControlNet', config, options, ownSizes(checkpoint));
      return options.contract.controlnet(at, config, sizes, options.attention);
    },
  },
  unet: unetRecipe('unet', 'the UNet', { controlled: false }),
  'control-unet': unetRecipe('unet', 'the UNet', { controlled: true }),
  refiner: unetRecipe('refiner', 'the refiner’s UNet', { controlled: false }),
  vae_decoder: {
    component: 'vae',
    title: 'the VAE decoder',
    ignored: [{ names: /^(encoder|quant_conv)\./, reason: 'belongs to the VAE encoder' }],
    build: (at, component, { contract, sizes }) => contract.vae_decoder(at, vaeOf(component), sizes),
    needsFloat32: overflowOfVae,
  },
  vae_encoder: {
    component: 'vae',
    title: 'the VAE encoder',
    ignored: [{ names: /^(decoder|post_quant_conv)\./, reason: 'belongs to the VAE decoder' }],
    build: (at, component, { contract, sizes }) => contract.vae_encoder(at, vaeOf(component), sizes),
    needsFloat32: overflowOfVae,
  },
  safety_checker: {
    component: 'safety_checker',
    title: 'the safety checker',
    ignored: [positionIds],
    build: (at, component, { contract }) => contract.safety_checker(at, safetyCheckerConfig(component)),
  },
};

function unetRecipe(component: string, title: string, use: { readonly controlled: boolean }): Recipe {
  return {
    component,
    title,
    ignored: [],
    build(at, from, options, checkpoint) {
      const config = unetConfig(from);
      const own = { latentHeight: config.sample_size[0], latentWidth: config.sample_size[1] };
      // A refiner continues what the checkpoint's UNet began, in its size.
      const sizes = denoiserSizes('UNet', config, options, { ...own, ...ownSizes(checkpoint) });
      return options.contract.unet(at, config, sizes, options.attention, use);
    },
  };
}

/** Every kind of network, in the order they run; of several ControlNets this is the first. */
// Object.keys gives strings; the table above has exactly these keys.
export const networkKinds = Object.keys(recipes) as readonly NetworkKind[];

/** The checkpoint's folder that a network is made of. */
export function componentOf(name: NetworkName): string {
  const kind = networkKind(name);
  return kind === 'controlnet' ? name : recipes[kind].component;
}

/** The networks that a checkpoint has, in the order they run; its UNet as `control-unet` where that is asked for. */
export function networksOf(
  { components }: Checkpoint,
  { controlledUnet = false }: Pick<ConvertOptions, 'controlledUnet'> = {},
): NetworkName[] {
  const left = controlledUnet ? 'unet' : 'control-unet';
  return networkKinds.flatMap((name) => {
    if (name === left) return [];
    const names = name === 'controlnet' ? [...components.keys()].filter(isControlNet) : [name];
    return names.filter((each) => isThere(each, components.get(componentOf(each))));
  });
}

/** A VAE may come with one of its halves alone. */
function isThere(name: NetworkName, component: Component | undefined): boolean {
  if (!component) return false;
  const [own, other] = name === 'vae_encoder' ? ['encoder.', 'decoder.'] : ['decoder.', 'encoder.'];
  const has = (half: string): boolean => [...component.weights.keys()].some((each) => each.startsWith(half));
  return !name.startsWith('vae_') || has(own) || !has(other);
}

/**
 * The graphs of a checkpoint's networks. Throws `NotFoundError` for a network it does not have, `ConfigError`,
 * `MissingWeightError`, `UnusedWeightError` and `ShapeError` when config and weights are not those of one network,
 * `RequestError` for sizes that the network cannot take.
 */
export function convert(checkpoint: Checkpoint, options: ConvertOptions): Model[] {
  const names = options.models ?? networksOf(checkpoint, options);
  return names.map((name) => convertModel(checkpoint, name, options));
}

function convertModel(checkpoint: Checkpoint, name: NetworkName, options: ConvertOptions): Model {
  const recipe = recipes[networkKind(name)];
  const component = requireComponent(checkpoint, componentOf(name));
  const weights = new WeightBook(
    recipe.title,
    recipe.component === 'vae' ? withPresentNames(component.weights) : component.weights,
  );
  const at = new Scope(new GraphBuilder(), weights);
  const sizes = options.contract.fixedSizes ? { ...ownSizes(checkpoint), ...options.sizes } : options.sizes;
  const graph = recipe.build(at, component, { ...options, sizes }, checkpoint);
  weights.finish(recipe.ignored);
  return { name, component, graph, needsFloat32: recipe.needsFloat32?.(component, checkpoint) };
}

/** `controlnet`, `controlnet_1`, …: as diffusers names the folders of several. */
function isControlNet(name: string): name is 'controlnet' | `controlnet_${number}` {
  return /^controlnet(_\d+)?$/.test(name);
}

/** diffusers computes such a VAE in float32 unless its config, where it was trained again to avoid that, says otherwise. */
function overflowOfVae(component: Component, checkpoint: Checkpoint): string | undefined {
  const overflows =
    vaeClass(component) === 'AutoencoderKL' &&
    traitsOf(checkpoint).isXl &&
    component.config.force_upcast !== false;
  return overflows ? 'The VAE of Stable Diffusion XL overflows float16.' : undefined;
}

/** The size of latents that the checkpoint was made for: only a UNet says. */
function ownSizes({ components }: Checkpoint): Sizes {
  const unet = components.get('unet');
  if (!unet) return {};
  const [latentHeight, latentWidth] = unetConfig(unet).sample_size;
  return { latentHeight, latentWidth };
}

/** Sizes that suit a network that halves its latents once a level; fixed where attention in chunks of queries has to know how many there are. */
function denoiserSizes(
  what: string,
  { block_out_channels: levels }: { readonly block_out_channels: readonly number[] },
  { sizes, attention }: ConvertOptions,
  own: Sizes,
): Sizes {
  const known = attention === 'SPLIT_EINSUM_V2' ? { ...own, ...sizes } : sizes;
  if (
    attention === 'SPLIT_EINSUM_V2' &&
    (known.latentHeight === undefined || known.latentWidth === undefined)
  )
    throw sizeUnknown(what);
  checkLatentSizes(what, known, 2 ** (levels.length - 1));
  return known;
}

function checkLatentSizes(what: string, sizes: Sizes, multiple: number): void {
  for (const [side, size] of [
    ['height', sizes.latentHeight],
    ['width', sizes.latentWidth],
  ] as const) {
    if (size === undefined || (Number.isInteger(size) && size > 0 && size % multiple === 0)) continue;
    const nearest = Math.max(1, Math.round(size / multiple)) * multiple;
    throw new RequestError({
      problem: `a latent ${side} of ${size} does not suit this ${what}: it halves it ${Math.log2(multiple)} times, so it must be a multiple of ${multiple}.`,
      details: { [`latent ${side}`]: `${size} (a picture ${side} of ${size * 8} pixels)` },
      advice: `Take ${nearest} (${nearest * 8} pixels).`,
    });
  }
}

function sizeUnknown(what: string): RequestError {
  return new RequestError({
    problem: `the size of the latents is not known: in the attention SPLIT_EINSUM_V2 a ${what} has a fixed size.`,
    advice:
      'Convert it together with its UNet, whose config says the size, give --latent-h and --latent-w, or take another attention.',
  });
}

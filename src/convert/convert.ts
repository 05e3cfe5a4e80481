import { type Checkpoint, type Component, requireComponent } from '../checkpoint/checkpoint.ts';
import { componentClasses } from '../checkpoint/open-component.ts';
import { NotFoundError, UnsupportedModelError } from '../errors.ts';
import { type Graph, GraphBuilder } from '../graph/graph.ts';
import { Scope } from '../graph/scope.ts';
import { WeightBook } from '../graph/weight-book.ts';
import type { BuildOptions } from './networks/card.ts';
import { ownSizes } from './networks/denoiser-sizes.ts';
import { cardOf, componentOf, type NetworkName, networkKinds } from './networks/networks.ts';
import { traitsOf } from './traits.ts';

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
export interface ConvertOptions extends BuildOptions {
  /** Which networks; all that the checkpoint has when left out. */
  readonly models?: readonly NetworkName[] | undefined;
  /** Whether, where no networks are named, the UNet is the one that takes a ControlNet's residuals. */
  readonly controlledUnet?: boolean | undefined;
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
  const card = cardOf(name);
  const component = requireComponent(checkpoint, componentOf(name));
  checkClass(card.title, component);
  if (!isThere(name, component)) throw notThere(card.title, component);
  const weights = new WeightBook(card.title, card.presentNames?.(component.weights) ?? component.weights);
  const at = new Scope(new GraphBuilder(), weights);
  const sizes = options.contract.fixedSizes ? { ...ownSizes(checkpoint), ...options.sizes } : options.sizes;
  const graph = card.build(at, component, { ...options, sizes }, checkpoint);
  weights.finish(card.ignored(component));
  return { name, component, graph, needsFloat32: card.needsFloat32?.(component, traitsOf(checkpoint)) };
}

/** A VAE is asked for the half that it lacks. */
function notThere(title: string, { files, configFile }: Component): NotFoundError {
  return new NotFoundError({
    problem: `${title} is not in the checkpoint: it has the other half of the VAE alone.`,
    details: { file: files[0] ?? configFile },
    advice: 'Leave it out of what is to be converted, or name a whole VAE with --custom-vae-version.',
  });
}

/** Another class with the same weights would compute something else. Its own config goes before model_index.json, as a folder may have been exchanged. */
function checkClass(title: string, { name, className, config, configFile }: Component): void {
  const classes: Readonly<Record<string, readonly string[]>> = componentClasses;
  const found = typeof config._class_name === 'string' ? config._class_name : className;
  const known = classes[name === 'refiner' ? 'unet' : isControlNet(name) ? 'controlnet' : name];
  if (!known || found === '' || known.includes(found)) return;
  throw new UnsupportedModelError({
    problem: `${title} is of a kind that is not supported: ${found}.`,
    details: { expected: known.join(' or '), file: configFile },
    advice:
      name === 'vae'
        ? 'Name another VAE with --custom-vae-version, or convert the rest: --convert-unet --convert-text-encoder.'
        : 'Leave it out of what is to be converted.',
  });
}

/** `controlnet`, `controlnet_1`, …: as diffusers names the folders of several. */
function isControlNet(name: string): name is 'controlnet' | `controlnet_${number}` {
  return /^controlnet(_\d+)?$/.test(name);
}

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

/** The graph of a checkpoint's network. Its weights have not been read. */
export interface Model {
  readonly name: NetworkName;
  /** The component with its weights and config. */
  readonly component: Component;
  readonly graph: Graph;
  /** Reason why it must not be computed in float16, a sentence; `undefined` where it may. */
  readonly needsFloat32?: string | undefined;
}

/** Which networks to build, and how. */
export interface ConvertOptions extends BuildOptions {
  /** Networks to build; default: `networksOf` the checkpoint. */
  readonly models?: readonly NetworkName[] | undefined;
  /** Whether the default networks have `control-unet` instead of `unet`. */
  readonly controlledUnet?: boolean | undefined;
}

/**
 * Lists the networks of a checkpoint in the order they run, with `control-unet` instead of `unet` where
 * `controlledUnet` is set.
 */
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

/** Whether a component has the network's weights: a VAE may lack its encoder or its decoder. */
function isThere(name: NetworkName, component: Component | undefined): boolean {
  if (!component) return false;
  const [own, other] = name === 'vae_encoder' ? ['encoder.', 'decoder.'] : ['decoder.', 'encoder.'];
  const has = (half: string): boolean => [...component.weights.keys()].some((each) => each.startsWith(half));
  return !name.startsWith('vae_') || has(own) || !has(other);
}

/**
 * Builds the graphs of a checkpoint's networks. Throws `NotFoundError` for a network that it lacks, `ConfigError`,
 * `MissingWeightError`, `UnusedWeightError` and `ShapeError` when config and weights do not belong together,
 * `RequestError` for sizes that a network cannot have.
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

function notThere(title: string, { files, configFile }: Component): NotFoundError {
  return new NotFoundError({
    problem: `${title} is not in the checkpoint: its VAE has only the other half.`,
    details: { file: files[0] ?? configFile },
    advice: 'Leave it out of the conversion, or name a complete VAE with --custom-vae-version.',
  });
}

/**
 * Refuses a component of another class: with the same weights it may compute something else. The class in the
 * component's config counts before the one in model_index.json, since users replace folders.
 */
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
        : 'Leave it out of the conversion.',
  });
}

/** Whether a component is a ControlNet: diffusers names their folders `controlnet`, `controlnet_1`, …. */
function isControlNet(name: string): name is 'controlnet' | `controlnet_${number}` {
  return /^controlnet(_\d+)?$/.test(name);
}

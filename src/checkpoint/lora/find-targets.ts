import { FileFormatError } from '../../errors.ts';
import { elementCount } from '../../weights/dtype.ts';
import type { Weight } from '../../weights/weight.ts';
import type { Checkpoint } from '../checkpoint.ts';
import type { Network } from './lora-key.ts';
import { type Change, readChanges } from './module-change.ts';
import { indexModules, type NetworkModule } from './module-index.ts';
import type { Lora, LoraModule } from './open-lora.ts';
import { withLongerRows } from './summed-weight.ts';

/** A weight that a LoRA changes, and the module that changes it. */
export interface Target {
  readonly network: Network;
  readonly module: LoraModule;
  readonly weight: Weight;
  readonly change: Change;
}

/** Targets of a LoRA, with its modules that were padded and those that change nothing. */
export interface Found {
  readonly targets: readonly Target[];
  readonly padded: readonly LoraModule[];
  readonly empty: readonly LoraModule[];
}

/**
 * Finds the weights that a LoRA changes. Throws `FileFormatError` for tensors that do not fit each other, and for a
 * weight that is changed twice.
 */
export function findTargets(checkpoint: Checkpoint, lora: Lora): Found {
  const indexes = new Map<Network, ReadonlyMap<string, NetworkModule>>();
  for (const network of new Set(lora.modules.flatMap(({ networks }) => networks))) {
    const component = checkpoint.components.get(network);
    if (component) indexes.set(network, indexModules(network, component.weights));
  }
  const found = new Map<Weight, Target>();
  const padded: LoraModule[] = [];
  const empty: LoraModule[] = [];
  const put = (target: Target): void => {
    const other = found.get(target.weight);
    if (other) throw changedTwice(lora, target.weight, other.module, target.module);
    found.set(target.weight, target);
  };
  for (const module of lora.modules) {
    const network = module.networks.find((each) => indexes.get(each)?.has(module.name));
    const own = network && indexes.get(network)?.get(module.name);
    const fitted = own ? paddedTo(module, own.weight) : module;
    if (fitted !== module) padded.push(module);
    const { weight, bias } = readChanges(fitted);
    if (!weight && !bias) empty.push(module);
    if (!own) continue;
    if (weight) put({ network, module, weight: own.weight, change: weight });
    if (bias && own.bias) put({ network, module, weight: own.bias, change: bias });
  }
  return { targets: [...found.values()], padded, empty };
}

/**
 * Pads a LoRA for text to image, which changes four input channels of the first convolution, to the more channels of an
 * inpainting or pix2pix UNet: weights of the other channels do not change, as in A1111.
 */
function paddedTo(module: LoraModule, { shape }: Weight): LoraModule {
  const [, inputs = 0, ...kernel] = shape;
  const [from, to] = [elementCount([4, ...kernel]), elementCount([inputs, ...kernel])];
  if (!/^(conv_in|input_blocks_0_0)$/.test(module.name) || inputs <= 4 || module.parts.has('mid'))
    return module;
  const inputParts = ['down', 'diff', 'hada_w1_b', 'hada_w2_b'] as const;
  const short = [...module.parts].filter(
    ([part, weight]) =>
      inputParts.some((each) => each === part) && elementCount(weight.shape.slice(1)) === from,
  );
  if (short.length === 0) return module;
  const parts = new Map(module.parts);
  for (const [part, weight] of short) parts.set(part, withLongerRows(weight, to));
  return { ...module, parts };
}

function changedTwice(lora: Lora, weight: Weight, first: LoraModule, second: LoraModule): FileFormatError {
  return new FileFormatError({
    problem: `${lora.path} changes a weight twice, under two names.`,
    details: { weight: weight.name, first: first.module, second: second.module },
    advice: 'The file was put together from two. Use the LoRA as its author published it.',
  });
}

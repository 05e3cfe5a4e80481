import { RequestError } from '../errors.ts';
import { elementCount } from '../weights/dtype.ts';
import type { Weight } from '../weights/weight.ts';
import type { Component, OpenComponent } from './component.ts';
import { mergedWeight } from './lora/merged-weight.ts';
import { readChange } from './lora/module-change.ts';
import { summedWeight } from './lora/summed-weight.ts';
import { adaptConfig } from './single-file/adapt-config.ts';

/** Names of the layers that a ControlNet copies from its base's UNet. */
const sharedNames = /^(conv_in|time_embedding|add_embedding|down_blocks|mid_block)\./;

/**
 * Completes a ControlNet that is stored as a difference to its base's UNet, or as a LoRA of it (Control-LoRA): the
 * UNet's weights are added as they stream; weights that the file stores in full are kept. A complete ControlNet is
 * returned unchanged. Throws `RequestError` when the UNet is missing or does not fit.
 */
export function completeControlNet(controlnet: OpenComponent, unet: Component | undefined): OpenComponent {
  const { incomplete } = controlnet;
  if (!incomplete) return controlnet;
  if (!unet) throw withoutUnet(controlnet);
  const weights = incomplete === 'difference' ? withBase(controlnet, unet) : withLowRank(controlnet, unet);
  const { config } = adaptConfig('controlnet', controlnet.config, weights);
  const files = [...new Set([...controlnet.files, ...unet.files])];
  return { ...controlnet, weights, config, files };
}

/** Adds the UNet's weight to each difference; weights that the UNet lacks are the ControlNet's own. */
function withBase({ weights }: Component, unet: Component): ReadonlyMap<string, Weight> {
  return new Map(
    [...weights].map(([name, weight]) => {
      const base = sharedNames.test(name) ? unet.weights.get(name) : undefined;
      const fits = base && elementCount(base.shape) === elementCount(weight.shape);
      return [name, fits ? summedWeight(weight, base, 1) : weight];
    }),
  );
}

/**
 * Takes the UNet's weights, replaces those that the file stores in full, and adds the products up · down; there is no
 * alpha.
 */
function withLowRank(controlnet: Component, unet: Component): ReadonlyMap<string, Weight> {
  const weights = new Map([...unet.weights].filter(([name]) => sharedNames.test(name)));
  const isFactor = (name: string) => /\.(up|down)$/.test(name);
  for (const [name, weight] of controlnet.weights) if (!isFactor(name)) weights.set(name, weight);
  for (const [name, down] of controlnet.weights) {
    if (!name.endsWith('.down')) continue;
    const module = name.slice(0, -'.down'.length);
    const [base, up] = [weights.get(`${module}.weight`), controlnet.weights.get(`${module}.up`)];
    if (!base || !up) throw otherBase(controlnet, module);
    const parts = new Map([['up', up] as const, ['down', down] as const]);
    const change = readChange({ module, networks: [], name: module, parts, defaults: {} });
    if (change.rows !== base.shape[0] || change.rows * change.columns !== elementCount(base.shape))
      throw otherBase(controlnet, module);
    weights.set(base.name, mergedWeight(base, change, 1));
  }
  return weights;
}

function withoutUnet({ files }: OpenComponent): RequestError {
  return new RequestError({
    problem: `${files[0] ?? 'the ControlNet'} holds only a ControlNet's changes to its base's UNet, and the checkpoint has no UNet.`,
    advice: 'Name the whole checkpoint that it was made for with --model-version.',
  });
}

function otherBase({ files }: Component, module: string): RequestError {
  return new RequestError({
    problem: `${files[0] ?? 'the ControlNet'} does not fit the checkpoint's UNet: a layer is missing or has another shape.`,
    details: { layer: module },
    advice: 'Name the checkpoint that it was made for with --model-version.',
  });
}

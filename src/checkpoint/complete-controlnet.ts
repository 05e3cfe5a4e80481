import { RequestError } from '../errors.ts';
import { elementCount } from '../weights/dtype.ts';
import type { Weight } from '../weights/weight.ts';
import type { Component, OpenComponent } from './component.ts';
import { mergedWeight } from './lora/merged-weight.ts';
import { readChange } from './lora/module-change.ts';
import { summedWeight } from './lora/summed-weight.ts';
import { adaptConfig } from './single-file/adapt-config.ts';

/** What a ControlNet has of the UNet that it was made from. */
const sharedNames = /^(conv_in|time_embedding|add_embedding|down_blocks|mid_block)\./;

/**
 * A ControlNet that is a difference to the UNet of its base, or a LoRA of it (Control-LoRA), with that UNet's weights
 * in it: what the file has whole is its own, differences and products of low rank are added as they stream. A whole one is
 * itself. Throws `RequestError` without such a UNet.
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

/** The difference of each weight that the UNet has, too, and the UNet's. */
function withBase({ weights }: Component, unet: Component): ReadonlyMap<string, Weight> {
  return new Map(
    [...weights].map(([name, weight]) => {
      const base = sharedNames.test(name) ? unet.weights.get(name) : undefined;
      const fits = base && elementCount(base.shape) === elementCount(weight.shape);
      return [name, fits ? summedWeight(weight, base, 1) : weight];
    }),
  );
}

/** The UNet's own weights, in their place what the file has whole, and products of `up` and `down` added; there is no alpha. */
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
    problem: `${files[0] ?? 'the ControlNet'} is only what a ControlNet changes of its base's UNet, and the checkpoint has none.`,
    advice: 'Name the whole checkpoint that it was made for with --model-version.',
  });
}

function otherBase({ files }: Component, module: string): RequestError {
  return new RequestError({
    problem: `${files[0] ?? 'the ControlNet'} changes a layer that the checkpoint's UNet does not have so.`,
    details: { layer: module },
    advice: 'Name the checkpoint that it was made for with --model-version.',
  });
}

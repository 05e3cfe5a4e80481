import { FileFormatError } from '../../errors.ts';
import { elementCount } from '../../weights/dtype.ts';
import { readTensor } from '../../weights/tensor-data.ts';
import type { WeightFile } from '../../weights/tensors-of-file.ts';
import type { Component } from '../component.ts';
import type { Family, UNetKind } from '../family.ts';
import type { Prediction } from './prediction.ts';
import type { OriginalConfig } from './yaml-beside.ts';

/**
 * Completes configs with what a component's own weights do not show: by other components, other tensors, a file beside
 * it.
 */

/** Applies what only the original YAML has: attention heads, size of latents, scaling factor. */
export function asConfigured(
  component: Component,
  { heads, headChannels, latentSize, scaleFactor, path }: OriginalConfig,
): Component {
  const { config } = component;
  const { block_out_channels: channels } = config;
  const change: Record<string, unknown> = {};
  if (component.name === 'vae' && scaleFactor !== undefined) change.scaling_factor = scaleFactor;
  if (component.name === 'unet') {
    if (latentSize !== undefined) change.sample_size = latentSize;
    if (heads !== undefined) change.attention_head_dim = heads;
    else if (headChannels !== undefined && headChannels > 0 && Array.isArray(channels))
      change.attention_head_dim = channels.map((width) =>
        Math.max(1, Math.floor(Number(width) / headChannels)),
      );
  }
  return withKeys(component, change, path);
}

/** Sets keys of a component's config to what a file says. */
function withKeys(component: Component, keys: Readonly<Record<string, unknown>>, file: string): Component {
  const fileOfKey = Object.fromEntries(Object.keys(keys).map((key) => [key, file]));
  return {
    ...component,
    config: { ...component.config, ...keys },
    fileOfKey: { ...component.fileOfKey, ...fileOfKey },
  };
}

/**
 * Computes XL's `addition_time_embed_dim`: the width of the added embedding without the pooled text, divided by the
 * number of time_ids. It is 256 in published models.
 */
export function withSizeChannels(unet: Component, text: Component): Component {
  const { projection_class_embeddings_input_dim: width, cross_attention_dim: tokens } = unet.config;
  const { projection_dim: pooled } = text.config;
  if (typeof width !== 'number' || typeof pooled !== 'number') return unet;
  const numbers = [6, 5].find(
    (each) => (width - pooled) % each === 0 && (each === 6) === (tokens !== pooled),
  );
  if (numbers === undefined || width <= pooled) return unet;
  return { ...unet, config: { ...unet.config, addition_time_embed_dim: (width - pooled) / numbers } };
}

/** Far more than latents have. */
const MOST_CHANNELS = 1 << 10;

/**
 * Adds the latents' mean and deviation, which Playground's files hold beside the networks; the scaling factor is then
 * 0.5, as in diffusers. Throws `FileFormatError` for more numbers than latents have channels.
 */
export async function withLatentStatistics(
  component: Component,
  weights: WeightFile['weights'],
): Promise<Component> {
  const [mean, std] = [weights.get('edm_mean'), weights.get('edm_std')];
  if (!mean || !std) return component;
  if ([mean, std].some(({ shape }) => elementCount(shape) > MOST_CHANNELS))
    throw new FileFormatError({
      problem: `${mean.file} has statistics of more channels than latents have.`,
      details: { edm_mean: `[${mean.shape.join(', ')}]`, edm_std: `[${std.shape.join(', ')}]` },
      advice: 'It is damaged, or was written by a faulty tool: get it from another source.',
    });
  const [latents_mean, latents_std] = await Promise.all(
    [mean, std].map(async (each) => [...(await readTensor(each, 'f32')).data]),
  );
  return withKeys(component, { latents_mean, latents_std, scaling_factor: 0.5 }, mean.file);
}

/** Sets the sample size of 2.x to 64 (512 pixels) for UNets that predict noise, and for the inpainting model. */
export function withSampleSize(
  component: Component,
  family: Family,
  { type }: Prediction,
  kind: UNetKind | undefined,
): Component {
  if (family !== 'sd2' || (type === 'v_prediction' && kind === 'base')) return component;
  return { ...component, config: { ...component.config, sample_size: 64 } };
}

import { readTensor } from '../../weights/tensor-data.ts';
import type { WeightFile } from '../../weights/tensors-of-file.ts';
import type { Component } from '../component.ts';
import type { Family, UNetKind } from '../family.ts';
import type { Prediction } from './prediction.ts';
import type { OriginalConfig } from './yaml-beside.ts';

/** What a component's config cannot have from its own weights: other components, other tensors, a file beside it say it. */

/** What only the original configuration says: heads, the size of pictures, how latents are scaled. */
export function asConfigured(
  component: Component,
  { heads, headChannels, latentSize, scaleFactor }: OriginalConfig,
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
  return Object.keys(change).length === 0 ? component : { ...component, config: { ...config, ...change } };
}

/** XL's sizes are embedded in what the pooled text leaves of the embedding: 256 channels each in published models, other numbers in small ones. */
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

/** Playground's VAE has means and deviations of its own, which lie beside the networks; its factor is 0.5 then, as in diffusers. */
export async function withLatentStatistics(
  component: Component,
  weights: WeightFile['weights'],
): Promise<Component> {
  const [mean, std] = [weights.get('edm_mean'), weights.get('edm_std')];
  if (!mean || !std) return component;
  const [latents_mean, latents_std] = await Promise.all(
    [mean, std].map(async (each) => [...(await readTensor(each, 'f32')).data]),
  );
  return { ...component, config: { ...component.config, latents_mean, latents_std, scaling_factor: 0.5 } };
}

/** Pictures of 512 pixels where 2.x predicts noise: its inpainting model, too. */
export function withSampleSize(
  component: Component,
  family: Family,
  { type }: Prediction,
  kind: UNetKind | undefined,
): Component {
  if (family !== 'sd2' || (type === 'v_prediction' && kind === 'base')) return component;
  return { ...component, config: { ...component.config, sample_size: 64 } };
}

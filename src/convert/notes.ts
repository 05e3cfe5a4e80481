import type { Checkpoint, Component } from '../checkpoint/checkpoint.ts';
import { type NetworkName, networkKind } from './networks/networks.ts';
import { trainedFactors } from './networks/vae-variant.ts';
import { vaeVariant } from './networks/vae-variants.ts';
import { traitsOf } from './traits.ts';

/** What whoever uses these networks should know of how they fit together, a sentence each; no weight is read. */
export function notesOn(
  checkpoint: Checkpoint,
  names: readonly NetworkName[],
  { coreMl }: { readonly coreMl: boolean },
): string[] {
  const kinds = new Set(names.map(networkKind));
  const vae = checkpoint.components.get('vae');
  const hasVae = kinds.has('vae_decoder') || kinds.has('vae_encoder');
  const { latentFactor, latentScale } = traitsOf(checkpoint);
  return [
    ...(vae && latentScale && hasVae ? notesOnScale(vae, latentScale.factor, latentFactor, coreMl) : []),
    ...(vae && kinds.has('vae_decoder') ? vaeVariant(vae).notes : []),
    ...(kinds.has('controlnet') && kinds.has('unet')
      ? ['the UNet does not take what a ControlNet gives: --unet-support-controlnet makes one that does.']
      : []),
  ];
}

/** Of which families a scale is. */
const scaleTitles: ReadonlyMap<number, string> = new Map([
  [trainedFactors.sd, 'Stable Diffusion 1.x and 2.x'],
  [trainedFactors.xl, 'Stable Diffusion XL'],
]);

function notesOnScale(vae: Component, factor: number, trained: number, coreMl: boolean): string[] {
  if (factor === trained) return [];
  const other = scaleTitles.get(factor);
  if (vaeVariant(vae).isOfOneFamily && other !== undefined)
    return [
      `the VAE scales latents by ${factor}, as ${other} does, and not by ${trained}: with another family's VAE the pictures are wrong.`,
    ];
  if (!coreMl) return [];
  return [
    `the VAE scales latents by ${factor}, Apple's Swift package by ${trained} unless it is told: set encoderScaleFactor and decoderScaleFactor to ${factor} in the app.`,
  ];
}

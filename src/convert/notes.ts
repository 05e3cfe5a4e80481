import type { Checkpoint, Component } from '../checkpoint/checkpoint.ts';
import { type NetworkName, networkKind } from './networks/networks.ts';
import { trainedFactors } from './networks/vae-variant.ts';
import { vaeVariant } from './networks/vae-variants.ts';
import { traitsOf } from './traits.ts';

/** Notes for users on how these networks fit together, a sentence each. Reads no weights. */
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
      ? [
          'this UNet has no inputs for the residuals of a ControlNet: convert it with --unet-support-controlnet.',
        ]
      : []),
  ];
}

/** Families by the scaling factor of their VAEs. */
const scaleTitles: ReadonlyMap<number, string> = new Map([
  [trainedFactors.sd, 'Stable Diffusion 1.x and 2.x'],
  [trainedFactors.xl, 'Stable Diffusion XL'],
]);

function notesOnScale(vae: Component, factor: number, trained: number, coreMl: boolean): string[] {
  if (factor === trained) return [];
  const other = scaleTitles.get(factor);
  if (vaeVariant(vae).isOfOneFamily && other !== undefined)
    return [
      `the VAE's scaling factor is ${factor}, that of ${other}, not ${trained}: with another family's VAE the pictures are wrong.`,
    ];
  if (!coreMl) return [];
  return [
    `the VAE's scaling factor is ${factor}, but Apple's Swift package uses ${trained} by default: set encoderScaleFactor and decoderScaleFactor to ${factor} in the app.`,
  ];
}

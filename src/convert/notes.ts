import type { Checkpoint, Component } from '../checkpoint/checkpoint.ts';
import { type NetworkName, networkKind } from './contracts/contract.ts';
import { isXl } from './convert.ts';
import { vaeClass } from './vae.ts';

/** What latents are multiplied by where a VAE ends and a UNet begins, as each family was trained. */
const usualScales = { 'Stable Diffusion 1.x and 2.x': 0.18215, 'Stable Diffusion XL': 0.13025 } as const;

/** What whoever uses these networks should know of how they fit together, a sentence each; no weight is read. */
export function notesOn(
  checkpoint: Checkpoint,
  names: readonly NetworkName[],
  { coreMl }: { readonly coreMl: boolean },
): string[] {
  const kinds = new Set(names.map(networkKind));
  const vae = checkpoint.components.get('vae');
  const hasVae = kinds.has('vae_decoder') || kinds.has('vae_encoder');
  return [
    ...(vae && hasVae ? notesOnScale(vae, isXl(checkpoint), coreMl) : []),
    ...(kinds.has('controlnet') && kinds.has('unet')
      ? ['the UNet does not take what a ControlNet gives: --unet-support-controlnet makes one that does.']
      : []),
  ];
}

function notesOnScale(vae: Component, xl: boolean, coreMl: boolean): string[] {
  const own = xl ? 'Stable Diffusion XL' : 'Stable Diffusion 1.x and 2.x';
  const isTiny = vaeClass(vae) === 'AutoencoderTiny';
  const { scaling_factor: scale = isTiny ? 1 : usualScales['Stable Diffusion 1.x and 2.x'] } = vae.config; // diffusers' defaults
  if (scale === usualScales[own]) return [];
  const [other] = Object.entries(usualScales).find(([, usual]) => usual === scale) ?? [];
  if (!isTiny && other !== undefined)
    return [
      `the VAE scales latents by ${scale}, as ${other} does, and not by ${usualScales[own]}: with another family's VAE the pictures are wrong.`,
    ];
  if (!coreMl) return [];
  return [
    `the VAE scales latents by ${scale}, Apple's Swift package by ${usualScales[own]} unless it is told: set encoderScaleFactor and decoderScaleFactor to ${scale} in the app.`,
  ];
}

import type { NetworkKind } from '../../convert/contracts/contract.ts';

/** What Apple's Swift package calls each network (StableDiffusionPipeline+Resources.swift); ControlNets have names of their own. */
export const swiftNames: { readonly [K in Exclude<NetworkKind, 'controlnet'>]: string } = {
  text_encoder: 'TextEncoder',
  text_encoder_2: 'TextEncoder2',
  unet: 'Unet',
  'control-unet': 'ControlledUnet',
  refiner: 'UnetRefiner',
  vae_decoder: 'VAEDecoder',
  vae_encoder: 'VAEEncoder',
  safety_checker: 'SafetyChecker',
};

/** What the file of a ControlNet's package begins with; what follows is its id, `/` as `_`. */
export const CONTROLNET_PREFIX = 'ControlNet_';

/**
 * What apps know a ControlNet by, from its id or its package's name without prefix: the words between `/`, `_` and `-`,
 * capitalised as Python's `str.title` does and joined: `lllyasviel/sd-controlnet-mlsd` → `LllyasvielSdControlnetMlsd`.
 */
export function swiftControlNetName(id: string): string {
  return id
    .split(/[/_-]/)
    .map((word) => word.toLowerCase().replaceAll(/(?<!\p{L})\p{L}/gu, (letter) => letter.toUpperCase()))
    .join('');
}

import type { ModelName } from '../../convert/contracts/contract.ts';

/** What Apple's Swift package calls each network (StableDiffusionPipeline+Resources.swift). */
export const swiftNames: { readonly [K in ModelName]: string } = {
  text_encoder: 'TextEncoder',
  unet: 'Unet',
  vae_decoder: 'VAEDecoder',
  vae_encoder: 'VAEEncoder',
};

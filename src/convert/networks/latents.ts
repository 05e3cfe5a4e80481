/** Latents of every Stable Diffusion: a picture [B,3,H,W] has [B,LATENT_CHANNELS,H/PIXELS,W/PIXELS] of them. */

export const LATENT_CHANNELS = 4;

/** Pixels of a picture for each of its latents, in height and in width. */
export const PIXELS = 8;

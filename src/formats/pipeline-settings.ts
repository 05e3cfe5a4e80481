import { z } from 'zod';
import { bothStatistics, latentFactor, latentShift } from '../convert/config/number-ranges.ts';

/**
 * What drawing needs to know beside the models, as `sdconvert.json` keeps it: packages and compiled models do not say it
 * themselves. What the checkpoint does not say is left out.
 */
export const pipelineSettings = z.object({
  /** The `scheduler_config.json`. */
  scheduler: z.record(z.string(), z.unknown()).optional(),
  /** The UNet's latents are (the VAE's − shift) · factor; with statistics of each channel, (the VAE's − mean) · factor / std. */
  latentScale: z
    .object({
      factor: latentFactor,
      shift: latentShift,
      mean: z.array(latentShift).readonly().optional(),
      std: z.array(latentFactor).readonly().optional(),
    })
    .refine(...bothStatistics)
    .optional(),
  /** What each tokenizer fills a prompt up with, by its folder. */
  padding: z.record(z.string(), z.string()).optional(),
  /** Whether an empty negative prompt is zeros instead of what the text encoders make of it (Stable Diffusion XL). */
  zerosForEmptyPrompt: z.boolean().optional(),
  /** Whether the picture that pix2pix edits has its latents scaled, too (CosXL Edit). */
  scalesEditedPicture: z.boolean().optional(),
});

/** What drawing needs to know beside the models. */
export type PipelineSettings = z.output<typeof pipelineSettings>;

/** Tensors of single files that no conversion needs, with the reason. */
const ignored: readonly { readonly names: RegExp; readonly reason: string }[] = [
  {
    names: /^model_ema\./,
    reason: 'EMA weights of the UNet; the plain weights are converted, as in diffusers',
  },
  {
    names:
      /^(betas|alphas_cumprod(_prev)?|sqrt_\w+|log_one_minus_alphas_cumprod|posterior_\w+|denoiser\.sigmas)$/,
    reason: 'the noise schedule, which the scheduler computes',
  },
  {
    names: /^(logvar|lvlb_weights|scale_factor|first_stage_model\.loss\..+|loss\..+|embedding_manager\..+)$/,
    reason: 'for training only',
  },
  { names: /^(v_pred|ztsnr|global_step)$/, reason: 'the prediction type: read for the scheduler' },
  { names: /(^|\.)position_ids$/, reason: 'position ids 0 … 76' },
  {
    names: /(^|\.)(logit_scale|attn_mask)$/,
    reason: "for CLIP's comparison of texts with pictures, which no network here does",
  },
  {
    names: /^(cond_stage_model|conditioner\.embedders\.0)\.(transformer\.)?text_projection(\.weight)?$/,
    reason: 'the projection of a text encoder whose projected output is not used',
  },
];

/** Whether a tensor of a single file is ignored. */
export function isIgnored(name: string): boolean {
  return ignored.some(({ names }) => names.test(name));
}

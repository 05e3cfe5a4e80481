/** Tensors that single files carry beside the networks, and why no conversion needs them. */
const ignored: readonly { readonly names: RegExp; readonly reason: string }[] = [
  {
    names: /^model_ema\./,
    reason: 'the running averages of the UNet; the plain weights are taken, as in diffusers',
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
  { names: /^(v_pred|ztsnr|global_step)$/, reason: 'what the UNet predicts: read for the scheduler' },
  { names: /(^|\.)position_ids$/, reason: 'the numbers 0 … 76' },
  {
    names: /(^|\.)(logit_scale|attn_mask)$/,
    reason: "of CLIP's comparison with pictures, which nothing here makes",
  },
  {
    names: /^(cond_stage_model|conditioner\.embedders\.0)\.(transformer\.)?text_projection(\.weight)?$/,
    reason: 'the projection of a text encoder whose projected text nothing reads',
  },
];

/** Whether a single file's tensor is left aside. */
export function isIgnored(name: string): boolean {
  return ignored.some(({ names }) => names.test(name));
}

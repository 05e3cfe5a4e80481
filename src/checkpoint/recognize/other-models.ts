/**
 * Well-known kinds of files that are not converted, each recognised by a tensor name that only it has. The first match
 * counts, so a kind that extends another is listed before it.
 */

/** A kind of model, and advice for when it is given in place of a checkpoint. */
export interface Recognized {
  /** Completes the sentence "x is …". */
  readonly what: string;
  readonly advice: string;
}

/** A kind of file, and the tensor names that identify it. */
export interface KnownModel extends Recognized {
  /** A name that only this kind has; with several patterns, one name for each. */
  readonly names: RegExp | readonly RegExp[];
}

export const useStableDiffusion = 'Use a checkpoint of Stable Diffusion 1.x, 2.x or XL.';
export const useVaeFolder =
  'Name its checkpoint, and with --custom-vae-version its diffusers folder, which holds config.json and the weights.';
const useBase = 'Use the checkpoint that it was made from.';

function unsupported(what: string, names: KnownModel['names'], advice = useStableDiffusion): KnownModel {
  return { what: `${what}, which is not supported`, names, advice };
}

/**
 * Networks that extend a UNet, ControlNet or VAE of Stable Diffusion; without the extension their results would differ.
 */
export const alteredModels: readonly KnownModel[] = [
  unsupported(
    'a ControlNet union (several kinds of pictures in one network)',
    /(^|\.)(task_embedding$|control_add_embedding\.|transformer_layes\.|spatial_ch_projs\.)/,
    'Use a ControlNet for the one kind of picture that you need.',
  ),
  unsupported(
    'a ControlNet-XS',
    /(^|\.)(control_addon\.|ctrl_to_base\.|enc_zero_convs_(in|out)\.|input_hint_block_xs\.|down_zero_convs_in\.)/,
    'Use a ControlNet for the same kind of picture.',
  ),
  unsupported(
    'a part of a video model',
    /(^|\.)motion_modules\.|(^|\.)time_stack\.|\.temporal_transformer|(^|\.)time_mixer\.|\.temporal_res_block\./,
  ),
  unsupported('an upscaling model', /^low_scale_model\./),
  unsupported('Zero123 (new views of an object)', /^cc_projection\./),
  unsupported(
    'a UNet with an IP-Adapter in it',
    /\.to_[kv]_ip\b|(^|\.)encoder_hid_proj\.image_projection_layers\./,
    useBase,
  ),
  unsupported('Kolors', [
    /(^|\.)encoder_hid_proj\.weight$/,
    /(^|\.)(add_embedding\.linear_1|label_emb\.0\.0)\./,
  ]),
  unsupported('Kandinsky', /(^|\.)encoder_hid_proj\.(image_embeds|image_proj|norm)\./),
  unsupported('DeepFloyd IF', [/(^|\.)encoder_hid_proj\.weight$/, /(^|\.)add_embedding\.(norm1|pool)\./]),
  unsupported('a UNet for another text encoder', /(^|\.)encoder_hid_proj\./),
  unsupported('GLIGEN', /(^|\.)position_net\.|\.fuser\.(attn|linear)/),
  unsupported('Stable unCLIP', /^noise_augmentor\.|^embedder\.model\.visual\./),
  {
    what: 'an asymmetric VAE (AsymmetricAutoencoderKL) alone',
    names: /^(vae\.)?decoder\.condition_encoder\./,
    advice: useVaeFolder,
  },
  unsupported('a VAE of another kind (VQModel)', /(^|\.)quantize\.embedding\./),
];

const denoiser = String.raw`^(model\.)?(diffusion_model\.|transformer\.|net\.|dit\.)*`;

function behindDenoiser(names: string): RegExp {
  return new RegExp(denoiser + names);
}

/** Denoisers that are not UNets of Stable Diffusion. Their files may also hold a VAE and text encoders. */
export const otherDenoisers: readonly KnownModel[] = [
  unsupported('Chroma', behindDenoiser(String.raw`distilled_guidance_layer\.`)),
  unsupported(
    'HunyuanVideo',
    behindDenoiser(String.raw`(txt_in\.individual_token_refiner|context_embedder\.token_refiner)\.`),
  ),
  unsupported('HiDream', behindDenoiser(String.raw`double_stream_(blocks|layers)\.`)),
  unsupported('AuraFlow', behindDenoiser(String.raw`(double_layers|joint_transformer_blocks)\.`)),
  unsupported('Qwen-Image', behindDenoiser(String.raw`txt_norm\.`)),
  unsupported(
    'a Flux model, or one built like it',
    behindDenoiser(String.raw`(double_blocks|single_blocks|single_transformer_blocks)\.`),
  ),
  unsupported(
    'Stable Diffusion 3',
    behindDenoiser(String.raw`(joint_blocks\.|context_embedder\.(weight|bias)$)`),
  ),
  unsupported(
    'Z-Image, or a model built like it (Lumina)',
    behindDenoiser(String.raw`(cap_embedder|noise_refiner|context_refiner)\.`),
  ),
  unsupported('a video model (Mochi)', behindDenoiser(String.raw`(t5_yproj|t5_y_embedder)\.`)),
  unsupported('a video model (Wan)', [
    behindDenoiser(String.raw`(blocks\.\d+\.self_attn\.|blocks\.\d+\.attn1\.to_q)`),
    behindDenoiser(String.raw`(text_embedding|condition_embedder|patch_embedding)\.`),
  ]),
  unsupported('a video model (LTX)', behindDenoiser(String.raw`patchify_proj\.`)),
  unsupported('a video model (CogVideoX)', [
    behindDenoiser(String.raw`(transformer_blocks|blocks)\.\d+\.norm1\.linear\.`),
    behindDenoiser(String.raw`patch_embed\.(text_proj|proj)\.`),
  ]),
  unsupported('HunyuanDiT', behindDenoiser(String.raw`(mlp_t5\.|text_embedding_padding$)`)),
  unsupported('Sana', behindDenoiser(String.raw`(caption_norm\.|attention_y_norm\.)`)),
  unsupported('OmniGen', behindDenoiser(String.raw`(time_caption_embed|input_x_embedder)\.`)),
  unsupported('Cosmos', behindDenoiser(String.raw`(blocks\.block\d+\.|x_embedder\.proj\.1\.)`)),
  unsupported(
    'a PixArt model',
    behindDenoiser(String.raw`(adaln_single|caption_projection|t_block|y_embedder)\.`),
  ),
  unsupported(
    'Stable Cascade',
    behindDenoiser(
      String.raw`(clip_txt_mapper\.|clip_txt_pooled_mapper\.|down_blocks\.\d+\.\d+\.channelwise\.)`,
    ),
  ),
  unsupported('Stable Audio', /(^|\.)(to_timestep_embed|conditioner\.conditioners)\./),
];

/** Adapters that cannot be applied to a checkpoint here, and networks of other kinds. */
export const otherFiles: readonly KnownModel[] = [
  unsupported('PhotoMaker', /^id_encoder\./),
  unsupported('an IP-Adapter', /^(image_proj|ip_adapter)\./),
  unsupported('ControlNet-LLLite', /^lllite_/, 'Use a ControlNet for the same kind of picture.'),
  unsupported(
    'a T2I-Adapter',
    /^(adapter\.)?body\.\d+\.(in_conv|block1|resnets\.\d+\.block1)\./,
    'Use a ControlNet for the same kind of picture.',
  ),
  unsupported(
    'a ControlNet of a transformer (Stable Diffusion 3, Flux)',
    /^(controlnet_blocks|controlnet_x_embedder|controlnet_single_blocks|controlnet_mode_embedder)\./,
    'Use a ControlNet for the family of the checkpoint.',
  ),
  unsupported(
    'an upscaling network (ESRGAN)',
    /^(conv_first\.|model\.1\.sub\.\d|params(_ema)?\.|RRDB_trunk\.)|^params_ema$|\.residual_group\./,
  ),
];

/** Encoders that no supported family uses. */
export const otherEncoders: readonly KnownModel[] = [
  unsupported(
    'a T5 text encoder (of Stable Diffusion 3 or Flux)',
    /(^|\.)encoder\.block\.\d+\.layer\.\d+\.SelfAttention\./,
  ),
  unsupported('an image encoder (CLIP vision)', /(^|\.)(vision_model\.|visual\.)/),
  unsupported(
    'a language model',
    /(^|\.)layers\.\d+\.(self_attn\.q_proj|attention\.wq|attn\.qkv|mlp\.gate_proj)\./,
  ),
  unsupported('a VAE of a video model', /(^|\.)(en|de)coder\.(down|up)samples\.\d/),
];

/**
 * What a model is, told from the class name in its model_index.json or from the names of its tensors. A family that
 * becomes supported changes its row here.
 */

/** A kind of model, and what to do when it was given where a diffusers checkpoint is needed. */
export interface Recognized {
  /** Completes the sentence "x is …". */
  readonly what: string;
  readonly advice: string;
}

const useStableDiffusion = 'Use a checkpoint of Stable Diffusion 1.x, 2.x or XL.';

/** The pipeline classes of model_index.json that are converted. */
export const supportedPipelines: readonly string[] = [
  ...['StableDiffusion', 'StableDiffusionXL'].flatMap((stem) =>
    ['', 'Img2Img', 'Inpaint', 'ControlNet', 'InstructPix2Pix'].map((use) => `${stem}${use}Pipeline`),
  ),
  'LatentConsistencyModelPipeline',
  'LatentConsistencyModelImg2ImgPipeline',
];

/** What a pipeline class that is not converted makes; `undefined` for one that was never heard of. */
export function recognizePipeline(className: string): Recognized | undefined {
  return refusedPipelines.find(({ name }) => name.test(className));
}

/** The pipelines that are known and not converted; of several that fit a class name, the first. */
export const refusedPipelines: readonly (Recognized & { readonly name: RegExp })[] = [
  {
    name: /^StableDiffusionXL/,
    what: 'a special pipeline of Stable Diffusion XL, which is not supported',
    advice: 'Use the checkpoint that the pipeline was made from.',
  },
  {
    name: /^StableDiffusion3/,
    what: 'Stable Diffusion 3, which is not supported',
    advice: useStableDiffusion,
  },
  { name: /^Flux/, what: 'a Flux model, which is not supported', advice: useStableDiffusion },
  {
    name: /^StableDiffusionControlNet/,
    what: 'a special pipeline with a ControlNet, which is not supported',
    advice: 'Use the checkpoint that the pipeline was made from.',
  },
  {
    name: /^StableDiffusion(Latent)?Upscale/,
    what: 'an upscaling model, which is not supported',
    advice: useStableDiffusion,
  },
  {
    name: /^StableVideo|Video|^AnimateDiff/,
    what: 'a video model, which is not supported',
    advice: useStableDiffusion,
  },
];

/** Whether a component is configuration only (a scheduler, a tokenizer, an image processor), told from its class. */
export function isWeightless(className: string): boolean {
  return /(Scheduler|Tokenizer|TokenizerFast|FeatureExtractor|ImageProcessor|ImageProcessorFast)$/.test(
    className,
  );
}

/** What a weight file can be: something to open, something that goes with a checkpoint, or nothing that is converted. */
export type WeightsKind =
  | 'checkpoint'
  | 'unet'
  | 'vae'
  | 'text encoder'
  | 'controlnet'
  | 'lora'
  | 'textual inversion'
  | 'unsupported';

/** A weight file, and what to do with it. */
export interface RecognizedWeights extends Recognized {
  readonly kind: WeightsKind;
}

/** What a single weight file is, told from its tensors' names; `undefined` when they fit nothing known. */
export function recognizeWeights(names: Iterable<string>): RecognizedWeights | undefined {
  const all = [...names];
  return knownWeightFiles.find(({ tensor }) => all.some((name) => tensor.test(name)));
}

const useCheckpoint =
  'Give the checkpoint that it belongs to: a single file, or the folder that holds model_index.json.';

/** The kinds of weight files, by a tensor that only they have; of several that fit, the first. */
export const knownWeightFiles: readonly (RecognizedWeights & { readonly tensor: RegExp })[] = [
  {
    kind: 'lora',
    tensor: /(^|[._])lora([._]|$)|(^|\.)(hada_w1|lokr_w1)/,
    what: 'a LoRA, not a checkpoint',
    advice:
      'A LoRA changes a checkpoint: name the checkpoint that it was trained for, and this file with --lora FILE:1.',
  },
  {
    kind: 'unsupported',
    tensor: /^(model\.diffusion_model\.)?joint_blocks\./,
    what: 'Stable Diffusion 3, which is not supported',
    advice: useStableDiffusion,
  },
  {
    kind: 'unsupported',
    tensor: /^(model\.diffusion_model\.)?(double_blocks|single_blocks|single_transformer_blocks)\./,
    what: 'a Flux model, or one built like it, which is not supported',
    advice: useStableDiffusion,
  },
  {
    kind: 'unsupported',
    tensor: /^(model\.diffusion_model\.)?(adaln_single|caption_projection|t_block|y_embedder)\./,
    what: 'a PixArt model, which is not supported',
    advice: useStableDiffusion,
  },
  {
    kind: 'unsupported',
    tensor:
      /^(model\.diffusion_model\.)?(clip_txt_mapper\.|clip_txt_pooled_mapper\.|down_blocks\.\d+\.\d+\.channelwise\.)/,
    what: 'Stable Cascade, which is not supported',
    advice: useStableDiffusion,
  },
  {
    kind: 'unsupported',
    tensor: /(^|\.)motion_modules\.|^(model\.diffusion_model\.)?patchify_proj\.|\.temporal_transformer\./,
    what: 'a part of a video model, which is not supported',
    advice: useStableDiffusion,
  },
  {
    kind: 'unsupported',
    tensor: /^(image_proj|ip_adapter)\./,
    what: 'an IP-Adapter, which is not supported',
    advice: useStableDiffusion,
  },
  {
    kind: 'unsupported',
    tensor: /^(adapter\.)?body\.\d+\.(in_conv|block1|resnets\.\d+\.block1)\./,
    what: 'a T2I-Adapter, which is not supported',
    advice: 'Use a ControlNet for the same kind of picture.',
  },
  {
    kind: 'unsupported',
    tensor: /^(conv_first\.|model\.1\.sub\.\d|params_ema\.|RRDB_trunk\.)/,
    what: 'a network that enlarges pictures (ESRGAN), which is not supported',
    advice: useStableDiffusion,
  },
  {
    kind: 'checkpoint',
    tensor: /^(model\.diffusion_model|cond_stage_model|conditioner\.embedders)\./,
    what: 'a checkpoint in a single file',
    advice: 'Convert it.',
  },
  {
    kind: 'controlnet',
    tensor: /^(controlnet_cond_embedding|control_model|input_hint_block)\./,
    what: 'a ControlNet alone',
    advice: 'Name the checkpoint that it was made for, and this with --convert-controlnet.',
  },
  {
    kind: 'textual inversion',
    tensor: /^(emb_params|clip_[lg]|string_to_param|string_to_token)$|^string_to_param\./,
    what: 'a textual inversion, not a checkpoint',
    advice: useCheckpoint,
  },
  {
    kind: 'unsupported',
    tensor: /^concept_embeds$/,
    what: 'a safety checker alone',
    advice: useCheckpoint,
  },
  {
    kind: 'unet',
    tensor: /^(time_embedding\.linear_1|time_embed\.0)\./,
    what: 'a UNet alone',
    advice: 'Convert it alone, or give the whole checkpoint.',
  },
  {
    kind: 'vae',
    tensor: /^((first_stage_model|vae)\.)?(encoder|decoder)\.conv_in\./,
    what: 'a VAE alone',
    advice: 'Convert it alone, or name the checkpoint that it is for, and this with --custom-vae-version.',
  },
  {
    kind: 'unsupported',
    tensor: /^((en|de)coder\.)?(layers\.)?\d+\.conv\.0\.weight$/,
    what: 'a tiny autoencoder (TAESD) alone',
    advice:
      'Name the checkpoint that it is for, and with --custom-vae-version its folder: config.json and the weights, as diffusers keeps them.',
  },
  {
    kind: 'text encoder',
    tensor: /^text_model\.embeddings\./,
    what: 'a text encoder alone',
    advice: useCheckpoint,
  },
];

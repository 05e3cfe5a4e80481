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

const useStableDiffusion = 'Use a checkpoint of Stable Diffusion 1.x or 2.x.';

/** Whether a pipeline class of model_index.json is converted. */
export function isSupportedPipeline(className: string): boolean {
  return className === 'StableDiffusionPipeline' || className === 'StableDiffusionImg2ImgPipeline';
}

/** What a pipeline class that is not converted makes; `undefined` for one that was never heard of. */
export function recognizePipeline(className: string): Recognized | undefined {
  return pipelines.find(({ name }) => name.test(className));
}

const pipelines: readonly (Recognized & { readonly name: RegExp })[] = [
  {
    name: /^StableDiffusionXL/,
    what: 'Stable Diffusion XL, which is not supported yet',
    advice: useStableDiffusion,
  },
  {
    name: /^StableDiffusion3/,
    what: 'Stable Diffusion 3, which is not supported',
    advice: useStableDiffusion,
  },
  { name: /^Flux/, what: 'a Flux model, which is not supported', advice: useStableDiffusion },
  {
    name: /^StableDiffusionInpaint/,
    what: 'an inpainting model, which is not supported yet',
    advice: useStableDiffusion,
  },
  {
    name: /^StableDiffusionControlNet/,
    what: 'a pipeline with a ControlNet, which is not supported yet',
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

/** What a single weight file is, told from its tensors' names; `undefined` when they fit nothing known. */
export function recognizeWeights(names: Iterable<string>): Recognized | undefined {
  const all = [...names];
  return weightFiles.find(({ tensor }) => all.some((name) => tensor.test(name)));
}

const useWholeFolder =
  'Give the diffusers folder of the whole checkpoint: the one that holds model_index.json.';

const weightFiles: readonly (Recognized & { readonly tensor: RegExp })[] = [
  {
    tensor: /(^|[._])lora([._]|$)|(^|\.)(hada_w1|lokr_w1)/,
    what: 'a LoRA, not a checkpoint',
    advice: 'A LoRA changes a checkpoint: give the checkpoint that it was trained for.',
  },
  {
    tensor: /^(model\.diffusion_model\.)?(double_blocks|joint_blocks|single_transformer_blocks)\./,
    what: 'a Flux or Stable Diffusion 3 transformer, which is not supported',
    advice: useStableDiffusion,
  },
  {
    tensor: /^(model\.diffusion_model|first_stage_model|cond_stage_model|conditioner\.embedders)\./,
    what: 'a single-file checkpoint; only diffusers folders are supported so far',
    advice: 'Use the diffusers folder of the same model: the one that holds model_index.json.',
  },
  {
    tensor: /^(controlnet_cond_embedding|control_model)\./,
    what: 'a ControlNet alone',
    advice: useWholeFolder,
  },
  {
    tensor: /^(emb_params$|string_to_param)/,
    what: 'a textual inversion, not a checkpoint',
    advice: useWholeFolder,
  },
  { tensor: /^(time_embedding\.linear_1|time_embed\.0)\./, what: 'a UNet alone', advice: useWholeFolder },
  { tensor: /^(encoder|decoder)\.conv_in\./, what: 'a VAE alone', advice: useWholeFolder },
  { tensor: /^text_model\.embeddings\./, what: 'a text encoder alone', advice: useWholeFolder },
];

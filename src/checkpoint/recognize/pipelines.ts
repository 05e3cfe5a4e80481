import { type Recognized, useStableDiffusion } from './other-models.ts';

/** What a folder is, told from the class names in its model_index.json. */

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

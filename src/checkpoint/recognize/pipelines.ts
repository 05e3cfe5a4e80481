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

/**
 * Whether a folder is one of Stable Diffusion whatever its pipeline is called: by a UNet of the usual class, and nothing
 * that another kind of model draws with. The pipelines that are known to draw otherwise are `refusedPipelines`.
 */
export function isOrdinary(parts: readonly { readonly name: string; readonly className: string }[]): boolean {
  const classOf = (name: string) => parts.find((part) => part.name === name)?.className;
  return (
    classOf('unet') === 'UNet2DConditionModel' &&
    !parts.some(
      ({ name, className }) =>
        /^(transformer|prior|motion_adapter)/.test(name) || /MotionModel|SpatioTemporal/.test(className),
    )
  );
}

/** The pipelines that are known and not converted; of several that fit a class name, the first. */
export const refusedPipelines: readonly (Recognized & { readonly name: RegExp })[] = [
  {
    name: /^StableDiffusion3/,
    what: 'Stable Diffusion 3, which is not supported',
    advice: useStableDiffusion,
  },
  { name: /^Flux/, what: 'a Flux model, which is not supported', advice: useStableDiffusion },
  {
    name: /^StableDiffusion(Latent)?Upscale/,
    what: 'an upscaling model, which is not supported',
    advice: useStableDiffusion,
  },
  {
    name: /^StableDiffusionDepth2Img/,
    what: 'a model for depth to image, which is not supported',
    advice: 'Use a checkpoint for text to image, inpainting or pix2pix.',
  },
  {
    name: /UnCLIP|^Kandinsky|^IF[A-Z]/,
    what: 'a model that draws from embeddings of pictures, which is not supported',
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
  return /(Scheduler|Tokenizer(Fast)?|TokenizersBackend|FeatureExtractor|Processor(Fast|Pil)?|Watermarker)$/.test(
    className,
  );
}

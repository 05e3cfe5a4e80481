import { type Recognized, useStableDiffusion } from './other-models.ts';

/** Recognises folders by the class names in their model_index.json. */

/** The pipeline classes of model_index.json that are converted. */
export const supportedPipelines: readonly string[] = [
  ...['StableDiffusion', 'StableDiffusionXL'].flatMap((stem) =>
    ['', 'Img2Img', 'Inpaint', 'ControlNet', 'InstructPix2Pix'].map((use) => `${stem}${use}Pipeline`),
  ),
  'LatentConsistencyModelPipeline',
  'LatentConsistencyModelImg2ImgPipeline',
];

/** Recognises a pipeline class that is known and not converted; `undefined` for an unknown class. */
export function recognizePipeline(className: string): Recognized | undefined {
  return refusedPipelines.find(({ name }) => name.test(className));
}

/**
 * Whether a folder with an unknown pipeline is one of Stable Diffusion: it has a UNet of the usual class and no
 * component of another kind of model. Pipelines that are known to work differently are in `refusedPipelines`.
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

/** Pipelines that are known and not converted; the first match counts. */
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

/** Whether a component has no weights (a scheduler, a tokenizer, an image processor), by its class. */
export function isWeightless(className: string): boolean {
  return /(Scheduler|Tokenizer(Fast)?|TokenizersBackend|FeatureExtractor|Processor(Fast|Pil)?|Watermarker)$/.test(
    className,
  );
}

/**
 * What draws, piece by piece and without Node: tokenizer and prompts, schedulers, random numbers, pipelines, pictures. The caller
 * brings the networks, as anything that has `run` (`Runner`): onnxruntime-web in a page, WebGPU, a server.
 */

export type { Runner, TensorMap } from '../formats/runner.ts';
export { textsIn, withTexts } from '../io/png-text.ts';
export { createRng, type RngKind } from '../random/random.ts';
export type { Rng } from '../random/rng.ts';
export type { TensorData } from '../weights/tensor-data.ts';
export { clipInput, isInappropriate } from './check-safety.ts';
export { ClipTokenizer, type ClipTokenizerFiles } from './clip-tokenizer.ts';
export { contactSheet, type SheetCell } from './contact-sheet.ts';
export type { Image } from './image.ts';
export { controlPixelsOf, imageFromTensor, pixelsOf } from './image-tensor.ts';
export { type EncoderOptions, latentEncoder } from './latent-encoder.ts';
export { type PictureFacts, pictureName } from './picture-name.ts';
export {
  type Beginning,
  type BeginningRequest,
  beginWithNoise,
  type LatentEncoder,
} from './pipelines/beginning.ts';
export { type Control, type ControlStrength, controlResiduals } from './pipelines/control-residuals.ts';
export { type DenoiseRequest, denoise, type OnStep, type Picture } from './pipelines/denoise.ts';
export { classifierFree, type Guidance, imageAndPrompt, unguided } from './pipelines/guidance.ts';
export { guidanceEmbedding } from './pipelines/guidance-embedding.ts';
export { beginEditing, type EditingRequest, editingGuidance } from './pipelines/image-editing.ts';
export { beginWithImage, type ImageRequest } from './pipelines/image-to-image.ts';
export { beginInpainting, type InpaintingRequest } from './pipelines/inpainting.ts';
export {
  type Conditioning,
  type NoisePredictor,
  noisePredictor,
  type PredictorRequest,
} from './pipelines/predict-noise.ts';
export { decodePng, encodePng } from './png.ts';
export { joinChunks } from './prompt/join-chunks.ts';
export {
  type EncodedPrompt,
  encodePrompt,
  type PromptChunk,
  type PromptOptions,
  sameLength,
} from './prompt/prompt-chunks.ts';
export { type PromptPart, type PromptSection, readPromptWeights } from './prompt/prompt-weights.ts';
export { expandInversions, type TextualInversion, tokenNames } from './prompt/textual-inversion.ts';
export { runInTiles, type TileSizes } from './run-in-tiles.ts';
export { decodeLatents, encodePrompts } from './run-networks.ts';
export { createScheduler, type SchedulerConfig } from './schedulers/create-scheduler.ts';
export { dynamicShift } from './schedulers/schedule/flow-shift.ts';
export type { Scheduler, SetTimestepsOptions, StepOptions } from './schedulers/scheduler.ts';
export {
  allSchedulers,
  compatibleSchedulers,
  type SchedulerName,
  schedulerCalled,
} from './schedulers/scheduler-names.ts';
export { joinChannels, type PictureSizes, timeIds } from './sdxl-conditioning.ts';

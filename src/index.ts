/** The public API: one function a command, and the pieces that stand on their own. */
export { type BundleRequest, bundlePackages as bundle } from './bundle/bundle-packages.ts';
export { type CompileRequest, type Compiler, compilePackage as compile } from './bundle/compile-package.ts';
export { type ChunkRequest, chunkArtifact as chunk, type WrittenChunk } from './chunk/chunk-artifact.ts';
export type { Context, ProgressEvent } from './context.ts';
export { type AttentionImplementation, attentionImplementations } from './convert/blocks/attention.ts';
export {
  type ConvertedArtifact,
  type ConvertOptions,
  type ConvertRequest,
  type ConvertResult,
  convertCheckpoint as convert,
  convertDefaults,
} from './convert-checkpoint.ts';
export * from './errors.ts';
export { ClipTokenizer, type ClipTokenizerFiles } from './generate/clip-tokenizer.ts';
export { type GeneratedImage, type GenerateRequest, generate } from './generate/generate.ts';
export { createScheduler } from './generate/schedulers/create-scheduler.ts';
export type { Scheduler, StepOptions } from './generate/schedulers/scheduler.ts';
export { type Inspection, inspect } from './inspect/inspect.ts';
export { planRecipe, type Recipe, readRecipe } from './mixed-bits/recipe.ts';
export { type MixRequest, type MixResult, mixPrompts, quantizeMixed } from './mixed-quantization.ts';
export { planQuantization, type QuantizationOptions, type QuantizationPlan } from './quantize/plan.ts';
export { type Precision, precisions } from './quantize/precision.ts';
export {
  type QuantizeRequest,
  type QuantizeResult,
  quantizeArtifact as quantize,
} from './quantize-artifact.ts';
export { createRng, type Rng, type RngKind } from './random/random.ts';
export { type Comparison, compare, psnr } from './validate/psnr.ts';
export { runArtifacts as run } from './validate/run.ts';
export { type ValidateRequest, validate } from './validate/validate.ts';
export type { Verdict } from './validate/verdict.ts';
export { type Checkpoint, type Component, openCheckpoint } from './weights/checkpoint.ts';
export { type Downloaded, type DownloadRequest, download } from './weights/hub/download.ts';
export { type HubOptions, hubOptionsFrom } from './weights/hub/hub-options.ts';
export type { TensorData } from './weights/tensor-data.ts';

/** The public API: one function a command, and the pieces that stand on their own. */

export type { Checkpoint, Component } from './checkpoint/checkpoint.ts';
export { openCheckpoint } from './checkpoint/open-checkpoint.ts';
export {
  type AnalyzeOptions,
  type AnalyzeRequest,
  type AnalyzeResult,
  type AnalyzeTarget,
  analyze,
  analyzeDefaults,
} from './commands/analyze.ts';
export {
  type BundleOptions,
  type BundleRequest,
  bundleDefaults,
  bundlePackages as bundle,
} from './commands/bundle.ts';
export {
  type ChunkOptions,
  type ChunkRequest,
  chunkArtifact as chunk,
  chunkDefaults,
  type WrittenChunk,
} from './commands/chunk.ts';
export {
  type CompileOptions,
  type CompileRequest,
  compileDefaults,
  compilePackage as compile,
} from './commands/compile.ts';
export {
  type ConvertedArtifact,
  type ConvertOptions,
  type ConvertRequest,
  type ConvertResult,
  convertDefaults,
} from './commands/conversion/request.ts';
export { convertCheckpoint as convert } from './commands/convert.ts';
export { type Downloaded, type DownloadRequest, download } from './commands/download.ts';
export type { DrawnPicture, GeneratedImage, PictureSheet } from './commands/drawing/finish-pictures.ts';
export { readPrompts } from './commands/drawing/read-prompts.ts';
export {
  type ControlNetRequest,
  type GenerateOptions,
  type GenerateRequest,
  generateDefaults,
} from './commands/drawing/request.ts';
export { generate } from './commands/generate.ts';
export { type Inspection, type InspectRequest, inspect } from './commands/inspect.ts';
export {
  type QuantizeOptions,
  type QuantizeRequest,
  type QuantizeResult,
  quantizeArtifact as quantize,
  quantizeDefaults,
} from './commands/quantize.ts';
export { report } from './commands/report.ts';
export {
  type ReportOptions,
  type ReportRequest,
  type ReportResult,
  reportDefaults,
} from './commands/reporting/request.ts';
export { type RunOptions, type RunRequest, runArtifacts as run, runDefaults } from './commands/run.ts';
export { type ServeOptions, type ServeRequest, serve, serveDefaults } from './commands/serve.ts';
export {
  type ValidateOptions,
  type ValidateRequest,
  validate,
  validateDefaults,
} from './commands/validate.ts';
export { type VerifyRequest, type VerifyResult, verify } from './commands/verify.ts';
export { type WebOptions, type WebRequest, type WebResult, web, webDefaults } from './commands/web.ts';
export type { Context, ProgressEvent } from './context.ts';
export { type AttentionImplementation, attentionImplementations } from './convert/blocks/attention.ts';
export * from './errors.ts';
export {
  type BatchOptions,
  type BatchRequest,
  batch,
  batchDefaults,
  type ItemResult,
} from './fleet/batch.ts';
export { type JobsRequest, listJobs as jobs, type QueuedItem } from './fleet/queue/list-jobs.ts';
export type { StepResult } from './fleet/queue/run-step.ts';
export {
  type SubmitOptions,
  type SubmitRequest,
  type SubmittedItem,
  submit,
  submitDefaults,
} from './fleet/queue/submit.ts';
export {
  type WorkOptions,
  type WorkRequest,
  type WorkResult,
  work,
  workDefaults,
} from './fleet/queue/work.ts';
export type { Compiler } from './formats/coreml/compiled/compilers.ts';
export * from './generate/browser.ts';
export {
  parseTextualInversion,
  readTextualInversion,
  type TextualInversionChoice,
} from './generate/prompt/read-textual-inversion.ts';
export { readScheduler } from './generate/read-scheduler.ts';
export { type HubOptions, hubOptionsFrom } from './hub/hub-options.ts';
export { planRecipe, type Recipe, readRecipe } from './mixed-bits/recipe.ts';
export { planQuantization, type QuantizationOptions, type QuantizationPlan } from './quantize/plan.ts';
export { type Precision, precisions } from './quantize/precision.ts';
export type { Card } from './report/card.ts';
export { type Comparison, compare, psnr } from './validate/psnr.ts';
export type { Verdict } from './validate/verdict.ts';
export type { DType } from './weights/dtype.ts';
export type { NonFiniteWeight, SuspiciousWeight, WeightFinding } from './weights/examined-weight.ts';
export { readTensors as readSafetensors } from './weights/read-tensors.ts';
export { type NamedTensor, writeSafetensors } from './weights/safetensors-writer.ts';

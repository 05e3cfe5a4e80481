import type { Format } from '../format.ts';
import {
  assetMetadata,
  bytecode,
  bytecodeRewriting,
  coremldata,
  externalData,
  manifest,
  milProtobuf,
  milRewriting,
  milText,
  onnx,
  onnxRewriting,
  weightFile,
} from './artifacts.ts';
import { batchManifests } from './batch-manifests.ts';
import { configs, lora, schedulers, shards, tokenizers } from './checkpoints.ts';
import { assetFolders, compiledFolders, irFolders, onnxFolders } from './clients.ts';
import { knownHashes, queueJobs, storedResults } from './fleet.ts';
import { hubAnswers } from './hub.ts';
import { hubFaults } from './hub-faults.ts';
import { modelSettings } from './model-settings.ts';
import { pagePlans } from './pages.ts';
import { modelCards, reports, servedAddresses, webPages } from './reports.ts';
import { analyses, originalConfigs, png, provenance, recipes, textualInversions } from './small-files.ts';
import { gguf, pickle, safetensors, torchLegacy, torchZip } from './weights.ts';

/** Everything that is hunted in. */
export const formats: readonly Format[] = [
  safetensors,
  torchZip,
  torchLegacy,
  pickle,
  gguf,
  milProtobuf,
  milRewriting,
  milText,
  weightFile,
  assetMetadata,
  bytecode,
  bytecodeRewriting,
  coremldata,
  manifest,
  onnx,
  onnxRewriting,
  externalData,
  lora,
  configs,
  shards,
  tokenizers,
  schedulers,
  originalConfigs,
  textualInversions,
  provenance,
  modelSettings,
  recipes,
  analyses,
  hubAnswers,
  hubFaults,
  png,
  irFolders,
  onnxFolders,
  compiledFolders,
  assetFolders,
  modelCards,
  reports,
  webPages,
  pagePlans,
  servedAddresses,
  batchManifests,
  queueJobs,
  storedResults,
  knownHashes,
];

import { builtSource } from './emit/coreml/copy-weights.ts';
import { chunkCountNote, splitMil } from './chunk/split-mil.ts';
import { splitOnnx } from './chunk/split-onnx.ts';
import type { AttentionImplementation } from './convert/blocks/attention.ts';
import { appleContract } from './convert/contracts/apple.ts';
import type { Contract } from './convert/contracts/contract.ts';
import { optimumContract } from './convert/contracts/optimum.ts';
import type { Model } from './convert/convert.ts';
import type { PlannedArtifact } from './emit/artifact.ts';
import { buildCoreMl } from './emit/coreml/build-coreml.ts';
import { describeModel } from './emit/coreml/describe-model.ts';
import { packageFiles, writePackageFiles } from './emit/coreml/package.ts';
import type { Target as Deployment } from './emit/coreml/target.ts';
import { buildOnnxModel } from './emit/onnx/build-model.ts';
import { plannedFiles, writeOnnx } from './emit/onnx/write-onnx.ts';
import type { Precision } from './quantize/precision.ts';

/** What decides an artifact's bytes besides its graph. */
export interface TargetOptions {
  /** The checkpoint's name. */
  readonly modelVersion: string;
  readonly attention: AttentionImplementation;
  readonly precision: Precision;
  /** Bytes of weights that no chunk may exceed; whole when left out. */
  readonly maxChunkBytes: number | undefined;
  /** The oldest system that is to load a Core ML package. */
  readonly deployment: Deployment;
}

/** A format that artifacts are written in. */
export interface Target {
  readonly contract: Contract;
  /** The attention it runs best. */
  readonly attention: AttentionImplementation;
  /** The nearest precision it has. */
  precision(wanted: Precision): Precision;
  /** The artifact of a model, or those of its chunks, and what the user should know of them. Throws `ChunkBudgetError`. */
  plan(model: Model, options: TargetOptions): { readonly artifacts: PlannedArtifact[]; readonly note?: string | undefined };
}

export const targetNames = ['onnx', 'coreml'] as const;

export type TargetName = (typeof targetNames)[number];

export const targets: { readonly [K in TargetName]: Target } = {
  onnx: {
    contract: optimumContract,
    attention: 'ORIGINAL',
    precision: (wanted) => wanted,
    plan({ name, graph }, { attention, precision, maxChunkBytes }) {
      const whole = buildOnnxModel(graph, { model: name, attention, precision });
      const parts = maxChunkBytes === undefined ? [whole] : splitOnnx(whole, maxChunkBytes);
      const artifacts = parts.map((part, index) => ({
        path: `onnx/${name}${chunkSuffix(index, maxChunkBytes)}`,
        files: plannedFiles(part),
        write: (folder: string, onBytes: (count: number) => void) => writeOnnx(part, folder, onBytes),
      }));
      return { artifacts };
    },
  },

  coreml: {
    contract: appleContract,
    attention: 'SPLIT_EINSUM',
    // Core ML computes in float16 wherever weights are float16.
    precision: (wanted) => (wanted === 'float16-weights' ? 'float16' : wanted),
    plan({ name, graph }, { modelVersion, deployment, maxChunkBytes }) {
      const description = describeModel(name, modelVersion);
      const { planned, read } = buildCoreMl(graph, { target: deployment, description });
      const split = (contents: typeof planned) => (maxChunkBytes === undefined ? [contents] : splitMil(builtSource(name, contents), maxChunkBytes));
      const parts = split(planned);
      let final: Promise<typeof parts> | undefined;
      const artifacts = parts.map((part, index) => ({
        path: `Stable_Diffusion_version_${modelVersion.replaceAll('/', '_')}_${name}${chunkSuffix(index, maxChunkBytes)}.mlpackage`,
        files: packageFiles(part),
        async write(folder: string, onBytes: (count: number) => void) {
          final ??= read().then(split);
          const contents = (await final)[index];
          if (!contents) throw new Error(`${name} has ${parts.length} chunks in the plan and fewer when written`);
          return writePackageFiles(folder, contents, onBytes);
        },
      }));
      return { artifacts, note: maxChunkBytes === undefined ? undefined : chunkCountNote(parts.length, maxChunkBytes) };
    },
  },
};

function chunkSuffix(index: number, maxChunkBytes: number | undefined): string {
  return maxChunkBytes === undefined ? '' : `_chunk${index + 1}`;
}

import { join } from 'node:path';
import type { Compiler } from './bundle/compile-package.ts';
import { bundleOnnxFolder } from './bundle/onnx-folder.ts';
import { bundleSwiftResources } from './bundle/swift-resources.ts';
import { chunkCountNote, splitMil } from './chunk/split-mil.ts';
import { splitOnnx } from './chunk/split-onnx.ts';
import type { Context } from './context.ts';
import type { AttentionImplementation } from './convert/blocks/attention.ts';
import { appleContract } from './convert/contracts/apple.ts';
import type { Contract, ModelName } from './convert/contracts/contract.ts';
import { optimumContract } from './convert/contracts/optimum.ts';
import { componentOf, type Model } from './convert/convert.ts';
import type { ArtifactName, PlannedArtifact, WrittenFile } from './emit/artifact.ts';
import { buildCoreMl } from './emit/coreml/build-coreml.ts';
import { builtSource } from './emit/coreml/copy-weights.ts';
import { describeModel } from './emit/coreml/describe-model.ts';
import { packageFiles, writePackageFiles } from './emit/coreml/package.ts';
import type { Target as Deployment } from './emit/coreml/target.ts';
import { buildOnnxModel } from './emit/onnx/build-model.ts';
import { plannedFiles, writeOnnx } from './emit/onnx/write-onnx.ts';
import type { Precision } from './quantize/precision.ts';
import type { Checkpoint } from './weights/checkpoint.ts';

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

/** An artifact that is there, to be bundled. */
export interface BundledArtifact {
  readonly name: ArtifactName;
  readonly model: ModelName;
  /** Relative to the output folder. */
  readonly path: string;
  readonly files: readonly WrittenFile[];
}

/** A format that artifacts are written in. */
export interface Target {
  readonly contract: Contract;
  /** The attention it runs best. */
  readonly attention: AttentionImplementation;
  /** The nearest precision it has. */
  precision(wanted: Precision): Precision;
  /** Completes an output folder for the format's consumers; gives the folder, relative to the output, and what it wrote there. */
  bundle(
    checkpoint: Checkpoint,
    artifacts: readonly BundledArtifact[],
    place: { readonly output: string; readonly compiler: Compiler },
    context: Context,
  ): Promise<{ readonly folder: string; readonly files: WrittenFile[] }>;
  /** The artifact of a model, or those of its chunks, and what the user should know of them. Throws `ChunkBudgetError`. */
  plan(
    model: Model,
    options: TargetOptions,
  ): { readonly artifacts: PlannedArtifact[]; readonly note?: string | undefined };
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
        name: artifactName(name, index, maxChunkBytes),
        path: `onnx/${artifactName(name, index, maxChunkBytes)}`,
        files: plannedFiles(part),
        write: (folder: string, onBytes: (count: number) => void) => writeOnnx(part, folder, onBytes),
      }));
      return { artifacts };
    },
    async bundle(checkpoint, artifacts, { output }) {
      const models = artifacts.flatMap(({ name, model }) => {
        const configFile = checkpoint.components.get(componentOf(model))?.configFile;
        return configFile ? [{ folder: name, configFile }] : [];
      });
      return { folder: 'onnx', files: await bundleOnnxFolder(checkpoint, models, join(output, 'onnx')) };
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
      const split = (contents: typeof planned) =>
        maxChunkBytes === undefined ? [contents] : splitMil(builtSource(name, contents), maxChunkBytes);
      const parts = split(planned);
      let final: Promise<typeof parts> | undefined;
      const artifacts = parts.map((part, index) => ({
        name: artifactName(name, index, maxChunkBytes),
        path: `Stable_Diffusion_version_${modelVersion.replaceAll('/', '_')}_${artifactName(name, index, maxChunkBytes)}.mlpackage`,
        files: packageFiles(part),
        async write(folder: string, onBytes: (count: number) => void) {
          final ??= read().then(split);
          const contents = (await final)[index];
          if (!contents)
            throw new Error(`${name} has ${parts.length} chunks in the plan and fewer when written`);
          return writePackageFiles(folder, contents, onBytes);
        },
      }));
      return {
        artifacts,
        note: maxChunkBytes === undefined ? undefined : chunkCountNote(parts.length, maxChunkBytes),
      };
    },
    async bundle(checkpoint, artifacts, { output, compiler }, context) {
      const packages = artifacts.map(({ name, path, files }) => ({ name, path: join(output, path), files }));
      const tokenizer = checkpoint.folders.get('tokenizer') ?? [];
      return {
        folder: 'Resources',
        files: await bundleSwiftResources(
          { packages, tokenizer, compiler },
          join(output, 'Resources'),
          context,
        ),
      };
    },
  },
};

function artifactName(model: ModelName, index: number, maxChunkBytes: number | undefined): ArtifactName {
  return maxChunkBytes === undefined ? model : `${model}_chunk${index + 1}`;
}

import type { AttentionImplementation } from '../convert/blocks/attention.ts';
import { appleContract } from '../convert/contracts/apple.ts';
import { type Contract, type NetworkName, networkKind } from '../convert/contracts/contract.ts';
import { optimumContract } from '../convert/contracts/optimum.ts';
import type { Model } from '../convert/convert.ts';
import { planQuantization, type QuantizationOptions } from '../quantize/plan.ts';
import type { Precision } from '../quantize/precision.ts';
import type { PlannedFile, WrittenFile } from './artifact.ts';
import { type ArtifactId, nameOf } from './artifact-id.ts';
import { buildCoreMl } from './coreml/build/build-model.ts';
import { describeModel } from './coreml/build/describe-model.ts';
import type { DeploymentTarget } from './coreml/deployment-target.ts';
import { packageFiles, writePackageFiles } from './coreml/package/package.ts';
import { quantizeMil } from './coreml/quantize/quantize-mil.ts';
import { chunkCountNote, splitMil } from './coreml/split-mil.ts';
import { buildOnnxModel } from './onnx/build-model.ts';
import { quantizeOnnx } from './onnx/quantize-onnx.ts';
import { splitOnnx } from './onnx/split-onnx.ts';
import { plannedFiles, writeOnnx } from './onnx/write-onnx.ts';

/** What decides an artifact's bytes besides its graph. */
export interface TargetOptions {
  /** The checkpoint's name. */
  readonly modelVersion: string;
  /** Of the checkpoint's family. */
  readonly license: string;
  readonly attention: AttentionImplementation;
  readonly precision: Precision;
  /** Fewer bits for the weights; none when left out. */
  readonly quantization: QuantizationOptions | undefined;
  /** Bytes of weights that no chunk may exceed; whole when left out. */
  readonly maxChunkBytes: number | undefined;
  /** The oldest system that is to load a Core ML package. */
  readonly deployment: DeploymentTarget;
}

/** A model in a target's form, or a chunk of it, ready to be written: no weight has been read. */
export interface BuiltArtifact {
  readonly id: ArtifactId;
  /** Its folder, relative to the output folder: `onnx/unet_chunk1`. */
  readonly path: string;
  /** What `write` writes, with exact sizes. */
  files(): PlannedFile[];
  /** Writes it into `folder`; `onBytes` is told how many bytes each block had, and stops the work by throwing. */
  write(folder: string, onBytes: (count: number) => void): Promise<readonly WrittenFile[]>;
}

/** A format that artifacts are written in. */
export interface Target {
  readonly contract: Contract;
  /** The attention it runs best. */
  readonly attention: AttentionImplementation;
  /** The nearest precision it has. */
  precision(wanted: Precision): Precision;
  /** The artifact of a model, or those of its chunks, and what the user should know of them. Throws `ChunkBudgetError`. */
  build(
    model: Model,
    options: TargetOptions,
  ): { readonly artifacts: readonly BuiltArtifact[]; readonly note?: string | undefined };
}

export const targetNames = ['onnx', 'coreml'] as const;

export type TargetName = (typeof targetNames)[number];

export const targets: { readonly [K in TargetName]: Target } = {
  onnx: {
    contract: optimumContract,
    attention: 'ORIGINAL',
    precision: (wanted) => wanted,
    build({ name, graph }, { attention, precision, quantization, maxChunkBytes }) {
      const built = buildOnnxModel(graph, { model: name, attention, precision });
      const whole = quantization ? quantizeOnnx(built, planQuantization(quantization)).model : built;
      const parts = maxChunkBytes === undefined ? [whole] : splitOnnx(whole, maxChunkBytes);
      const artifacts = parts.map((part, index) => ({
        id: idOf(name, index, maxChunkBytes),
        path: `onnx/${nameOf(idOf(name, index, maxChunkBytes))}`,
        files: () => plannedFiles(part),
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
    build({ name, graph, component }, { modelVersion, license, quantization, deployment, maxChunkBytes }) {
      const description = describeModel(name, component.id ?? modelVersion, {
        license,
        outputs: graph.outputs.map((output) => output.name),
      });
      const built = buildCoreMl(graph, { target: deployment, description });
      const whole = quantization ? quantizeMil(built, name, planQuantization(quantization)).model : built;
      const parts = maxChunkBytes === undefined ? [whole] : splitMil(whole, name, maxChunkBytes);
      const artifacts = parts.map((part, index) => ({
        id: idOf(name, index, maxChunkBytes),
        path: packageName(idOf(name, index, maxChunkBytes), modelVersion, component.id),
        files: () => packageFiles(part),
        write: (folder: string, onBytes: (count: number) => void) => writePackageFiles(folder, part, onBytes),
      }));
      return {
        artifacts,
        note: maxChunkBytes === undefined ? undefined : chunkCountNote(parts.length, maxChunkBytes),
      };
    },
  },
};

/** As Apple's tool names packages: after the checkpoint and the network, a ControlNet after itself. */
function packageName(id: ArtifactId, modelVersion: string, own = modelVersion): string {
  const origin = networkKind(id.network) === 'controlnet' ? own : modelVersion;
  return `${nameOf(id, { by: 'apple', origin })}.mlpackage`;
}

function idOf(network: NetworkName, index: number, maxChunkBytes: number | undefined): ArtifactId {
  return maxChunkBytes === undefined ? { network } : { network, chunk: { index: index + 1 } };
}

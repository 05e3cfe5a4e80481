import { splitOnnx } from './chunk/split-onnx.ts';
import type { AttentionImplementation } from './convert/blocks/attention.ts';
import type { Contract } from './convert/contracts/contract.ts';
import { optimumContract } from './convert/contracts/optimum.ts';
import type { Model } from './convert/convert.ts';
import type { PlannedArtifact } from './emit/artifact.ts';
import { buildOnnxModel, type OnnxMetadata } from './emit/onnx/build-model.ts';
import { plannedFiles, writeOnnx } from './emit/onnx/write-onnx.ts';

/** A format that artifacts are written in. */
export interface Target {
  readonly contract: Contract;
  /** The attention it runs best. */
  readonly attention: AttentionImplementation;
  /** The artifact of a model, or those of its chunks where `maxChunkBytes` is given. Throws `ChunkBudgetError`. */
  plan(model: Model, metadata: OnnxMetadata, maxChunkBytes: number | undefined): PlannedArtifact[];
}

export const targetNames = ['onnx'] as const;

export type TargetName = (typeof targetNames)[number];

export const targets: { readonly [K in TargetName]: Target } = {
  onnx: {
    contract: optimumContract,
    attention: 'ORIGINAL',
    plan({ name, graph }, metadata, maxChunkBytes) {
      const whole = buildOnnxModel(graph, metadata);
      const parts = maxChunkBytes === undefined ? [whole] : splitOnnx(whole, maxChunkBytes);
      return parts.map((part, index) => ({
        path: maxChunkBytes === undefined ? `onnx/${name}` : `onnx/${name}_chunk${index + 1}`,
        files: plannedFiles(part),
        write: (folder, onBytes) => writeOnnx(part, folder, onBytes),
      }));
    },
  },
};

import { basename } from 'node:path';
import type { Checkpoint, Component } from '../checkpoint/checkpoint.ts';
import type { AttentionImplementation } from '../convert/blocks/attention.ts';
import { appleContract } from '../convert/contracts/apple.ts';
import type { Contract, Sizes } from '../convert/contracts/contract.ts';
import { optimumContract } from '../convert/contracts/optimum.ts';
import type { ConvertOptions, Model } from '../convert/convert.ts';
import { type NetworkName, networkKind } from '../convert/networks/networks.ts';
import type { Graph } from '../graph/graph.ts';
import { undividedNote } from '../quantize/equal-groups.ts';
import { planQuantization, type QuantizationOptions } from '../quantize/plan.ts';
import type { Precision } from '../quantize/precision.ts';
import type { Artifact } from './artifact.ts';
import { type ArtifactId, nameOf } from './artifact-id.ts';
import type { AskedOptions } from './asked-options.ts';
import { type ClientForm, clientPackagePath, type PackageFacts } from './client-form.ts';
import { buildAsset, refuseTooLarge } from './coreai/build-asset.ts';
import { arrangeForCoreAi } from './coreai/contract/arrange.ts';
import { arrangedNetwork } from './coreai/contract/arranged-network.ts';
import { coreAiNotes, coreAiSizes } from './coreai/contract/asked-options.ts';
import { coreAiContract } from './coreai/contract/coreai-contract.ts';
import { coreAiPath } from './coreai/contract/coreai-names.ts';
import { coreAiModel } from './coreai/model.ts';
import { buildCoreMl } from './coreml/build/build-model.ts';
import { describeModel } from './coreml/build/describe-model.ts';
import type { DeploymentTarget } from './coreml/deployment-target.ts';
import { milModel } from './coreml/mil-artifact.ts';
import { artifactFolders, type TargetName } from './format.ts';
import { buildOnnxModel } from './onnx/build-model.ts';
import { onnxModel } from './onnx/onnx-artifact.ts';
import { checkConfig, writeConfig } from './onnx/onnx-folder.ts';

/** Options that, with the graph, decide an artifact's bytes. */
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
  /** The form that a client wants; the target's own when left out. */
  readonly form?: ClientForm | undefined;
}

/** A model in a target's form, or a chunk of it, ready to be written: no weight has been read. */
export interface BuiltArtifact extends Pick<Artifact, 'files' | 'contents'> {
  readonly id: ArtifactId;
  /** Its folder, relative to the output folder: `onnx/unet_chunk1`. */
  readonly path: string;
}

/** A format that artifacts are written in. */
export interface Target {
  readonly contract: Contract;
  /** Makes of the networks of a checkpoint, built for `contract`, what its consumers load: several may become one. */
  arrange(checkpoint: Checkpoint, models: readonly Model[]): readonly Model[];
  /**
   * A network of a checkpoint as this target alone has it; `undefined` for those whose inputs and outputs mean the same everywhere.
   * Absent where all do.
   */
  arranged?(
    checkpoint: Checkpoint,
    network: NetworkName,
    options: Pick<ConvertOptions, 'attention' | 'sizes'>,
  ): Model | undefined;
  /** The attention it runs best. */
  readonly attention: AttentionImplementation;
  /** The nearest precision it has. */
  precision(wanted: Precision): Precision;
  /** Of the sizes that were asked for those that it has. */
  sizes(asked: Sizes): Sizes;
  /** What becomes of options that were asked for, where one would not expect it, a sentence each. */
  notes(asked: AskedOptions): readonly string[];
  /** Adds to an artifact's folder, before it appears, the small files without which its consumers do not load it. */
  complete(component: Component, folder: string): Promise<void>;
  /** Throws what `complete` would, and writes nothing. */
  checkCompletion(component: Component): Promise<void>;
  /** Makes the artifact of a model, or those of its chunks, and notes for the user. Throws `ChunkBudgetError`. */
  build(
    model: Model,
    options: TargetOptions,
  ): { readonly artifacts: readonly BuiltArtifact[]; readonly notes: readonly string[] };
}

export const targets: { readonly [K in TargetName]: Target } = {
  onnx: {
    contract: optimumContract,
    arrange: (_, models) => models,
    attention: 'ORIGINAL',
    precision: (wanted) => wanted,
    sizes: (asked) => asked,
    notes: () => [],
    complete: writeConfig,
    checkCompletion: checkConfig,
    build({ name, graph }, options) {
      const { attention, precision, form } = options;
      const model = buildOnnxModel(graph, { model: name, attention, precision });
      const built = onnxModel(model, { network: name, whole: name });
      return pieces(name, built, options, (id) => `${form?.folder ?? artifactFolders.onnx}/${nameOf(id)}`);
    },
  },

  coreml: {
    contract: appleContract,
    arrange: (_, models) => models,
    attention: 'SPLIT_EINSUM',
    // Core ML computes in float16 wherever weights are float16.
    precision: (wanted) => (wanted === 'float16-weights' ? 'float16' : wanted),
    sizes: (asked) => asked,
    notes: () => [],
    complete: async () => {}, // its description is in the model
    checkCompletion: async () => {},
    build({ name, graph, component }, options) {
      const { modelVersion, license, deployment, form } = options;
      const description = describeModel(name, component.id ?? modelVersion, {
        license,
        outputs: graph.outputs.map((output) => output.name),
      });
      const model = buildCoreMl(graph, { target: deployment, description });
      const built = milModel(model, { network: name, whole: name }, name);
      const pathOf = (id: ArtifactId) =>
        form?.coreMl
          ? clientPackagePath(form, form.coreMl, packageFacts(id, graph, options))
          : packageName(id, modelVersion, component.id);
      return pieces(name, built, options, pathOf);
    },
  },

  coreai: {
    contract: coreAiContract,
    arrange: arrangeForCoreAi,
    arranged: arrangedNetwork,
    attention: 'ORIGINAL',
    precision: (wanted) => wanted,
    sizes: coreAiSizes,
    notes: coreAiNotes,
    complete: async () => {}, // its description is in the asset
    checkCompletion: async () => {},
    build({ name, graph, component }, options) {
      const { modelVersion, license, attention, precision } = options;
      const isControlNet = networkKind(name) === 'controlnet';
      const checkpoint = isControlNet ? (component.id ?? modelVersion) : modelVersion;
      const asset = buildAsset(name, graph, { checkpoint, license, options: { attention, precision } });
      const built = coreAiModel(asset, { network: name, whole: name });
      const made = pieces(name, built, options, (id) => coreAiPath(id, checkpoint));
      for (const { files } of made.artifacts) refuseTooLarge(name, files());
      return made;
    },
  },
};

/** As Apple's tool names packages: after the checkpoint and the network, a ControlNet after itself. */
function packageName(id: ArtifactId, modelVersion: string, own = modelVersion): string {
  const origin = networkKind(id.network) === 'controlnet' ? own : modelVersion;
  return `${nameOf(id, { by: 'apple', origin })}.mlpackage`;
}

/** What a client's name for a package tells of a graph. */
function packageFacts(
  { network }: ArtifactId,
  { inputs }: Graph,
  { modelVersion, attention, quantization }: TargetOptions,
): PackageFacts {
  return {
    kind: networkKind(network),
    stem: basename(modelVersion),
    inputs: new Map(inputs.map(({ name, shape }) => [name, shape.map(Number)])),
    attention,
    bits: quantization?.bits,
  };
}

/** The artifact of a network as it was built, with fewer bits, in chunks and in a client's form where that is asked for. */
function pieces(
  network: NetworkName,
  built: Artifact,
  { quantization, maxChunkBytes, form }: Pick<TargetOptions, 'quantization' | 'maxChunkBytes' | 'form'>,
  pathOf: (id: ArtifactId) => string,
): ReturnType<Target['build']> {
  const { artifact: whole, weights } = quantization
    ? built.rewritten(planQuantization(quantization))
    : { artifact: built, weights: [] };
  const undivided = undividedNote(weights);
  const { chunks, note } = maxChunkBytes === undefined ? { chunks: [whole] } : whole.cut(maxChunkBytes);
  const artifacts = chunks.map((each) => {
    const id = { network, chunk: each.name.chunk };
    const { files, contents } = form ? each.forClient(form, networkKind(network)) : each;
    return { id, path: pathOf(id), files, contents };
  });
  const notes = [undivided && `${network}: ${undivided}`, note].filter((each) => each !== undefined);
  return { artifacts, notes };
}

import { ChunkBudgetError } from '../errors.ts';
import type { OnnxModel } from '../formats/onnx/build-model.ts';
import { AttributeType, dataTypes, type ModelProto, type TensorProto } from '../formats/onnx/proto.ts';
import { splitOnnx } from '../formats/onnx/split-onnx.ts';

/**
 * A model in pieces that run one after another, so that a change in one weight is felt by running from its piece on:
 * what comes before is known from the reference run.
 */

/**
 * Cuts a model into at most about `count` pieces of near-equal weight, as chunks are cut; its weights stay where they
 * are on the disk. A model that cannot be cut is one piece.
 */
export function segmentsOf(model: OnnxModel, count: number): ModelProto[] {
  const total = model.dataFiles.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const inPlace = { proto: model.proto, dataFiles: [] };
  for (let pieces = count; pieces > 1; pieces = Math.floor(pieces / 2)) {
    try {
      return splitOnnx(inPlace, Math.ceil(total / pieces)).map(({ proto }) => proto);
    } catch (error) {
      // One operation may be larger than its share.
      if (!(error instanceof ChunkBudgetError)) throw error;
    }
  }
  return [model.proto];
}

/** The names of the initializers of a model. */
export function initializersOf({ graph }: ModelProto): string[] {
  return (graph?.initializer ?? []).map(({ name }) => name ?? '');
}

/** The model with a weight as a float32 input of the same name, to be given anew with each run. */
export function withWeightAsInput(proto: ModelProto, name: string): ModelProto {
  const { graph } = proto;
  const weight = graph?.initializer?.find((tensor) => tensor.name === name);
  if (!weight) throw new Error(`${name} is no weight of this model`);
  const { input, nodes } = asInput(weight, name);
  return {
    ...proto,
    graph: {
      ...graph,
      initializer: (graph?.initializer ?? []).filter((tensor) => tensor !== weight),
      input: [...(graph?.input ?? []), input],
      node: [...nodes, ...(graph?.node ?? [])],
    },
  };
}

/** Name of the input that stands for a weight. */
export function inputNameOf(weight: string): string {
  return `${weight}/given`;
}

function asInput({ dims, dataType }: TensorProto, name: string) {
  const shape = { dim: (dims ?? []).map((dimValue) => ({ dimValue })) };
  const given = inputNameOf(name);
  return {
    input: { name: given, type: { tensorType: { elemType: dataTypes.f32, shape } } },
    // A float16 weight is given in float32 and rounded; values that are float16 already do not change.
    nodes: [
      {
        opType: 'Cast',
        name: `${given}/Cast`,
        input: [given],
        output: [name],
        attribute: [{ name: 'to', type: AttributeType.INT, i: dataType ?? dataTypes.f32 }],
      },
    ],
  };
}

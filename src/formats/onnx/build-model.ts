import { formatDim } from '../../graph/dim.ts';
import type { Graph } from '../../graph/graph.ts';
import { isFixed, type Shape } from '../../graph/shape.ts';
import type { Tensor } from '../../graph/tensor.ts';
import { byteSize, type DType } from '../../weights/dtype.ts';
import { streamIn, type TensorStream } from '../../weights/tensor-stream.ts';
import { type DataFile, layOutTensors, type Placement, placements } from './external-data.ts';
import { lower } from './lower.ts';
import { OnnxWriter } from './onnx-writer.ts';
import {
  dataTypes,
  EXTERNAL,
  IR_VERSION,
  type ModelProto,
  OPSET,
  type TensorProto,
  type ValueInfoProto,
} from './proto.ts';

/** An ONNX model ready to be written: the message, and the files its weights go to. */
export interface OnnxModel {
  readonly proto: ModelProto;
  readonly dataFiles: readonly DataFile[];
  /** Whether the weights go into the model's own file instead. */
  readonly isOneFile?: boolean;
}

/** Facts about a model that its file carries along (ModelProto.metadata_props). */
export type OnnxMetadata = Readonly<Record<string, string>>;

/** The ONNX form of a graph, with its weights in `model.onnx_data`. No weight is read. */
export function buildOnnxModel(graph: Graph, metadata: OnnxMetadata): OnnxModel {
  const { names, aliases } = namesInFile(graph);
  const rename = (name: string): string => names.get(name) ?? name;
  const write = new OnnxWriter(rename);

  for (const tensor of graph.tensors) {
    if (tensor.op.kind === 'constant')
      write.constant(tensor.name, tensor.op.data, tensor.dtype, fixedShape(tensor));
    else
      lower(
        write,
        tensor,
        tensor.inputs.map((input) => rename(input.name)),
      );
  }
  for (const [output, name] of aliases) write.node('Identity', [rename(name)], output);

  const dataFiles = layOutTensors(graph.tensors.flatMap(storedTensor), 'model.onnx_data');
  const tensors = new Map(graph.tensors.map((tensor) => [tensor.name, tensor]));
  const external = [...placements(dataFiles)].map(([name, placement]) =>
    externalTensor(graphTensor(tensors, name), placement),
  );
  const computed = graph.tensors.filter(
    ({ op }) => op.kind !== 'input' && op.kind !== 'weight' && op.kind !== 'constant',
  );
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  return {
    dataFiles,
    proto: modelProto(
      {
        name: metadata.model ?? 'main',
        node: write.nodes,
        initializer: [...write.initializers, ...external],
        input: graph.inputs.map((tensor) => valueInfo(tensor.name, tensor)),
        output: graph.outputs.map(({ name, tensor }) => valueInfo(name, tensor)),
        valueInfo: computed
          .filter(({ name }) => !outputs.has(rename(name)))
          .map((tensor) => valueInfo(rename(tensor.name), tensor)),
      },
      metadata,
    ),
  };
}

/** A model around a graph, as every file of ours declares it. */
export function modelProto(graph: NonNullable<ModelProto['graph']>, metadata: OnnxMetadata): ModelProto {
  return {
    irVersion: IR_VERSION,
    opsetImport: [{ domain: '', version: OPSET }],
    producerName: 'sdconvert',
    graph,
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
  };
}

/** Declares a value's dtype and shape; free sizes keep their symbols. */
export function valueInfo(name: string, { dtype, shape }: { dtype: DType; shape: Shape }): ValueInfoProto {
  const dim = shape.map((size) =>
    typeof size === 'number' ? { dimValue: size } : { dimParam: formatDim(size) },
  );
  return { name, type: { tensorType: { elemType: dataTypes[dtype], shape: { dim } } } };
}

/** A tensor whose bytes lie in a data file. */
export function externalTensor(
  { name, dtype, dims }: { name: string; dtype: DType; dims: readonly number[] },
  placement: Placement,
): TensorProto {
  return {
    name,
    dims: [...dims],
    dataType: dataTypes[dtype],
    dataLocation: EXTERNAL,
    externalData: Object.entries(placement).map(([key, value]) => ({ key, value: String(value) })),
  };
}

/** An initializer that knows its new place in the data files, if it is in one. */
export function relocated(tensor: TensorProto, places: ReadonlyMap<string, Placement>): TensorProto {
  const place = places.get(tensor.name ?? '');
  if (!place) return tensor;
  return {
    ...tensor,
    externalData: Object.entries(place).map(([key, value]) => ({ key, value: String(value) })),
  };
}

/**
 * Each output's tensor takes the output's name in the file, and a tensor that had that name goes by another. Where that
 * cannot be (the tensor is an input or a weight, or has taken the name of another output), an Identity node is the
 * output: `aliases`.
 */
function namesInFile(graph: Graph): {
  names: ReadonlyMap<string, string>;
  aliases: readonly (readonly [string, string])[];
} {
  const names = new Map<string, string>();
  const aliases: (readonly [string, string])[] = [];
  for (const { name, tensor } of graph.outputs) {
    const canTakeIt = !isGiven(tensor) && !names.has(tensor.name);
    if (canTakeIt) names.set(tensor.name, name);
    else if (name !== tensor.name) aliases.push([name, tensor.name]);
  }
  const taken = new Map(graph.outputs.map(({ name, tensor }) => [name, tensor]));
  for (const tensor of graph.tensors) {
    const { name } = tensor;
    if (names.has(name) || !taken.has(name) || taken.get(name) === tensor) continue;
    if (isGiven(tensor)) throw new Error(`the output ${name} has the name of an input or a weight`);
    names.set(name, `${name}/inner`);
  }
  return { names, aliases };
}

function isGiven({ op }: Tensor): boolean {
  return op.kind === 'input' || op.kind === 'weight';
}

function storedTensor(tensor: Tensor): TensorStream[] {
  const { op, name, dtype } = tensor;
  if (op.kind !== 'weight') return [];
  return [{ name, byteLength: byteSize(fixedShape(tensor), dtype), stream: streamIn(op.weight, dtype) }];
}

function graphTensor(
  tensors: ReadonlyMap<string, Tensor>,
  name: string,
): { name: string; dtype: DType; dims: readonly number[] } {
  const tensor = tensors.get(name);
  if (!tensor) throw new Error(`no tensor is called ${name}`);
  return { name, dtype: tensor.dtype, dims: fixedShape(tensor) };
}

function fixedShape({ name, shape }: Tensor): readonly number[] {
  if (!isFixed(shape)) throw new Error(`${name} has a free size`);
  return shape;
}

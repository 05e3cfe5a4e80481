import type { FloatTensor } from '../../quantize/float-tensor.ts';
import { FEWEST_ELEMENTS, type QuantizationPlan, type WeightForm } from '../../quantize/plan.ts';
import type { QuantizedWeight } from '../../quantize/quantized-weight.ts';
import { byteSize, elementCount } from '../../weights/dtype.ts';
import type { TensorStream } from '../../weights/tensor-stream.ts';
import { type OnnxModel, relocated } from './build-model.ts';
import { type OnnxConstant, type OnnxForm, type OnnxPart, onnxForm } from './compressed-forms.ts';
import { layOutTensors, placements } from './external-data.ts';
import { matMulNBits } from './mat-mul-n-bits.ts';
import {
  dataTypes,
  dtypeOf,
  EXTERNAL,
  type GraphProto,
  type NodeProto,
  type TensorProto,
  toNumber,
} from './proto.ts';
import { initializerBytes } from './tensor-bytes.ts';
import { type WeightUse, weightUses } from './weight-uses.ts';

/** A planned ONNX model with quantised weights; they are read when it is written. */
export interface QuantizedOnnx {
  readonly model: OnnxModel;
  readonly weights: readonly QuantizedWeight[];
}

/**
 * Quantises the weights of an ONNX model that a plan names: each is replaced by its stored tensors and the nodes that compute
 * it under its own name. Already quantised weights and everything else stay byte for byte. Throws `UnsupportedModelError` for
 * forms that the model's opset lacks.
 */
export function quantizeOnnx({ proto, dataFiles }: OnnxModel, plan: QuantizationPlan): QuantizedOnnx {
  const graph = proto.graph ?? {};
  const opset = toNumber(
    (proto.opsetImport ?? []).find(({ domain }) => !domain || domain === 'ai.onnx')?.version,
  );
  const weights: QuantizedWeight[] = [];
  const changes = new Map<string, Change>();
  for (const { name, use, weight } of candidates({ proto, dataFiles })) {
    const form = plan(weight);
    const change = form && changeOf(weight, use, form, opset);
    const bytesBefore = weight.tensor.byteLength;
    const bytesAfter = change?.form.parts.reduce((sum, { byteLength }) => sum + byteLength, 0) ?? 0;
    if (!change || bytesAfter >= bytesBefore) continue;
    changes.set(name, change);
    const { shape } = weight;
    weights.push({ name, shape, form: change.as, bytesBefore, bytesAfter, error: change.form.error });
  }
  if (changes.size === 0) return { model: { proto, dataFiles }, weights };
  const stored = dataFiles.flatMap(({ tensors }) => tensors.map(({ tensor }) => tensor));
  return { model: changed({ proto, graph, stored }, changes), weights };
}

/** Lists the weights that can be quantised, unread, in the model's order. */
export function quantizableWeights(model: OnnxModel): FloatTensor[] {
  return candidates(model).map(({ weight }) => weight.tensor);
}

interface Candidate {
  readonly name: string;
  readonly use: WeightUse;
  readonly weight: Weight;
}

function candidates({ proto, dataFiles }: OnnxModel): Candidate[] {
  const graph = proto.graph ?? {};
  const stored = new Map(
    dataFiles.flatMap(({ tensors }) => tensors.map(({ tensor }) => [tensor.name, tensor])),
  );
  const uses = weightUses(graph);
  return (graph.initializer ?? []).flatMap((initializer): Candidate[] => {
    const name = initializer.name ?? '';
    const use = uses.get(name);
    const weight = use && weightOf(initializer, use, stored.get(name));
    return use && weight ? [{ name, use, weight }] : [];
  });
}

/** Replacement of a weight. */
interface Change {
  readonly form: OnnxForm;
  /** Form for the report. */
  readonly as: WeightForm;
  /** Nodes that the form's nodes replace; empty where these compute the weight for its readers. */
  readonly replaced: ReadonlySet<NodeProto>;
}

interface Source {
  readonly proto: OnnxModel['proto'];
  readonly graph: GraphProto;
  readonly stored: readonly TensorStream[];
}

type Weight = Parameters<typeof onnxForm>[0];

/** Returns an initializer as a weight, if it can be quantised. */
function weightOf(
  initializer: TensorProto,
  { outputAxis, inputAxis }: WeightUse,
  stored: TensorStream | undefined,
): Weight | undefined {
  const name = initializer.name ?? '';
  const shape = (initializer.dims ?? []).map(toNumber);
  const dtype = dtypeOf(initializer.dataType ?? 0);
  if ((dtype !== 'f16' && dtype !== 'f32') || shape.length < 2 || elementCount(shape) <= FEWEST_ELEMENTS)
    return undefined;
  const bytes = stored ?? {
    byteLength: byteSize(shape, dtype),
    stream: () => [initializerBytes(initializer)],
  };
  const tensor: FloatTensor = { ...bytes, name, dtype, shape };
  return {
    name,
    shape,
    outputAxis: outputAxis(shape.length),
    inputAxis: inputAxis(shape.length),
    dtype,
    tensor,
  };
}

function changeOf(
  weight: Weight,
  { layers, casts }: WeightUse,
  form: WeightForm,
  opset: number,
): Change | undefined {
  if (form.kind === 'linear' && form.matMulNBits && layers) {
    const whole = matMulNBits(weight, layers, form);
    if (whole)
      return { form: whole, as: form, replaced: new Set([...layers.map(({ node }) => node), ...casts]) };
  }
  const made = onnxForm(weight, form, opset);
  return made && { form: made, as: form, replaced: new Set() };
}

function changed({ proto, graph, stored }: Source, changes: ReadonlyMap<string, Change>): OnnxModel {
  const partsOf = (name: string): readonly OnnxPart[] => changes.get(name)?.form.parts ?? [];
  const external = new Set(stored.map(({ name }) => name));
  const inModel = [...changes.keys()].filter((name) => !external.has(name));
  const tensors = [
    ...stored.flatMap((tensor): readonly TensorStream[] =>
      changes.has(tensor.name) ? partsOf(tensor.name) : [tensor],
    ),
    ...inModel.flatMap(partsOf),
  ];
  const dataFiles = layOutTensors(tensors, 'model.onnx_data');
  const places = placements(dataFiles);
  const initializer = (graph.initializer ?? [])
    .flatMap((each): TensorProto[] =>
      changes.has(each.name ?? '') ? partsOf(each.name ?? '').map(partProto) : [each],
    )
    .map((each) => relocated(each, places));
  const present = new Set((graph.initializer ?? []).map(({ name }) => name ?? ''));
  const constants = new Map(
    [...changes.values()].flatMap(({ form }) => form.constants.map((each) => [each.name, each])),
  );
  return {
    dataFiles,
    proto: {
      ...proto,
      opsetImport: withContrib(proto.opsetImport ?? [], changes),
      graph: {
        ...graph,
        node: withNodes(graph.node ?? [], changes),
        initializer: [
          ...initializer,
          ...[...constants.values()].filter(({ name }) => !present.has(name)).map(constantProto),
        ],
        // Before IR version 4, initializers are also inputs.
        input: (graph.input ?? []).filter(({ name }) => !changes.has(name ?? '')),
      },
    },
  };
}

/** Inserts the nodes of each weight before its first reader, or in the place of those it replaces. */
function withNodes(nodes: readonly NodeProto[], changes: ReadonlyMap<string, Change>): NodeProto[] {
  const made = new Set<string>();
  const layers = new Map<NodeProto, NodeProto>();
  const dropped = new Set<NodeProto>();
  for (const { form, replaced } of changes.values()) {
    for (const node of replaced) {
      const layer = form.nodes.find(({ output }) => output?.[0] === node.output?.[0]);
      if (layer) layers.set(node, layer);
      else dropped.add(node);
    }
  }
  return nodes.flatMap((node): NodeProto[] => {
    if (dropped.has(node)) return [];
    const layer = layers.get(node);
    if (layer) return [layer];
    const first = (node.input ?? []).filter((name) => changes.has(name) && !made.has(name));
    for (const name of first) made.add(name);
    return [...new Set(first)].flatMap((name) => [...(changes.get(name)?.form.nodes ?? [])]).concat(node);
  });
}

type Opsets = NonNullable<OnnxModel['proto']['opsetImport']>;

function withContrib(opsets: Opsets, changes: ReadonlyMap<string, Change>): Opsets {
  const domain = 'com.microsoft';
  const isUsed = [...changes.values()].some(({ form }) => form.nodes.some((node) => node.domain === domain));
  return isUsed && !opsets.some((each) => each.domain === domain)
    ? [...opsets, { domain, version: 1 }]
    : opsets;
}

function partProto({ name, dataType, dims }: OnnxPart): TensorProto {
  return { name, dataType, dims: [...dims], dataLocation: EXTERNAL };
}

function constantProto({ name, dims, data }: OnnxConstant): TensorProto {
  const dataType = data instanceof Int32Array ? dataTypes.i32 : dataTypes.i64;
  return {
    name,
    dims: [...dims],
    dataType,
    rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  };
}

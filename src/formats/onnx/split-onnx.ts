import { type CutChunk, type CutOperation, cutModel } from '../../chunk/cut.ts';
import { byteSize, byteWidth } from '../../weights/dtype.ts';
import type { TensorStream } from '../../weights/tensor-stream.ts';
import { chunkTitle } from '../artifact-id.ts';
import { type OnnxModel, relocated } from './build-model.ts';
import { layOutTensors, placements, storedSize } from './external-data.ts';
import {
  AttributeType,
  dataTypes,
  dtypeOf,
  type ModelProto,
  type NodeProto,
  type StringStringEntryProto,
  type TensorProto,
  toNumber,
  type ValueInfoProto,
} from './proto.ts';

/**
 * Cuts an ONNX model into models that run one after another. A value that crosses keeps its name on both sides; a float16
 * one crosses as float32 (`<name>_float32`), which loses nothing and spares consumers float16 tensors.
 */

/** Cuts a model into chunks, each under `maxBytes` of weights. Throws `ChunkBudgetError`. */
export function splitOnnx(model: OnnxModel, maxBytes: number): OnnxModel[] {
  const source = new CuttableOnnx(model, { crossing: 'float32', location: 'model.onnx_data' });
  const chunks = cutModel(source, maxBytes);
  return chunks.map((chunk, index) => {
    const title = chunkTitle({ index: index + 1, of: chunks.length });
    return withMetadata(source.cut(chunk), { key: 'chunk', value: title });
  });
}

function withMetadata({ dataFiles, proto }: OnnxModel, entry: StringStringEntryProto): OnnxModel {
  const others = (proto.metadataProps ?? []).filter(({ key }) => key !== entry.key);
  return { dataFiles, proto: { ...proto, metadataProps: [...others, entry] } };
}

/** Assumed size of a free dimension, to compare the bytes of values. */
const NOMINAL_SIZE = 64;

/** Operations that only change a value's layout: repeating them is cheaper than passing their results on. */
const LAYOUT_OPERATIONS = new Set(['Cast', 'Transpose', 'Reshape']);

/** A node, or an initializer with its external data, if any. */
export interface OnnxOperation extends CutOperation {
  readonly node?: NodeProto;
  readonly initializer?: TensorProto;
  readonly stored?: TensorStream | undefined;
}

/** How pieces of a model are made. */
export interface PieceOptions {
  /** The form in which float16 values cross a cut. */
  readonly crossing: 'float32' | 'unchanged';
  /** Where those of a piece's weights go that are still to be written; the others stay where they are. */
  readonly location: string;
}

/** An ONNX model as operations to be cut. */
export class CuttableOnnx {
  readonly operations: readonly OnnxOperation[];
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly values: ReadonlyMap<string, { readonly byteLength: number | undefined }>;
  readonly #proto: ModelProto;
  readonly #types: ReadonlyMap<string, ValueInfoProto>;
  readonly #options: PieceOptions;

  constructor({ proto, dataFiles }: OnnxModel, options: PieceOptions) {
    const { initializer, node, input, valueInfo, output } = proto.graph ?? {};
    const stored = new Map(
      dataFiles.flatMap(({ tensors }) => tensors.map(({ tensor }) => [tensor.name, tensor])),
    );
    this.#proto = proto;
    this.#options = options;
    this.#types = new Map(
      [input, valueInfo, output].flatMap((infos) => infos ?? []).map((info) => [nameOf(info), info]),
    );
    this.operations = [
      ...(initializer ?? []).map((tensor) => initializerOperation(tensor, stored.get(nameOf(tensor)))),
      ...(node ?? []).map(nodeOperation),
    ];
    this.inputs = (input ?? []).map(nameOf);
    this.outputs = (output ?? []).map(nameOf);
    this.values = new Map([...this.#types].map(([name, info]) => [name, { byteLength: nominalBytes(info) }]));
  }

  /** Makes a chunk a model. */
  cut(chunk: CutChunk<OnnxOperation>): OnnxModel {
    const { graph } = this.#proto;
    const entering = chunk.entering.map((name) => this.#crossing(name));
    const leaving = chunk.leaving.map((name) => this.#crossing(name));
    const inputs = new Set(chunk.inputs);
    const outputs = new Map(leaving.map(({ info }) => [nameOf(info), info]));
    const given = new Set(chunk.outputs);
    for (const info of graph?.output ?? []) if (given.has(nameOf(info))) outputs.set(nameOf(info), info);
    const made = new Set(chunk.operations.flatMap(({ writes }) => writes));
    const dataFiles = layOutTensors(
      chunk.operations.flatMap(({ stored }) => stored ?? []),
      this.#options.location,
    );
    const places = placements(dataFiles);
    return {
      dataFiles,
      proto: {
        ...this.#proto,
        graph: {
          ...graph,
          node: [
            ...entering.flatMap(({ enter }) => enter),
            ...chunk.operations.flatMap(({ node }) => node ?? []),
            ...leaving.flatMap(({ leave }) => leave),
          ],
          initializer: chunk.operations.flatMap(({ initializer }) =>
            initializer ? relocated(initializer, places) : [],
          ),
          input: [
            ...(graph?.input ?? []).filter((info) => inputs.has(nameOf(info))),
            ...entering.map(({ info }) => info),
          ],
          output: [...outputs.values()],
          valueInfo: (graph?.valueInfo ?? []).filter(
            (info) => made.has(nameOf(info)) && !outputs.has(nameOf(info)),
          ),
        },
      },
    };
  }

  /** Makes the nodes that pass a value from one chunk to the next. */
  #crossing(name: string): { info: ValueInfoProto; leave: NodeProto[]; enter: NodeProto[] } {
    const info = this.#types.get(name);
    const tensorType = info?.type?.tensorType;
    if (!info || !tensorType) throw new Error(`${name} crosses a cut, but its type is not declared`);
    const isKept = tensorType.elemType !== dataTypes.f16 || this.#options.crossing === 'unchanged';
    if (isKept) return { info, leave: [], enter: [] };
    const outside = `${name}_float32`;
    return {
      info: { name: outside, type: { tensorType: { ...tensorType, elemType: dataTypes.f32 } } },
      leave: [castNode(name, outside, dataTypes.f32)],
      enter: [castNode(outside, name, dataTypes.f16)],
    };
  }
}

function initializerOperation(initializer: TensorProto, stored: TensorStream | undefined): OnnxOperation {
  const weightBytes = stored ? storedSize(stored) : bytesInModel(initializer);
  return {
    reads: [],
    writes: [nameOf(initializer)],
    weightBytes,
    repeatable: 'on constants',
    initializer,
    stored,
  };
}

/** The size of a tensor whose bytes are in the model itself. */
function bytesInModel({ dims, dataType }: TensorProto): number {
  const dtype = dtypeOf(dataType ?? 0);
  return dtype ? byteSize((dims ?? []).map(toNumber), dtype) : 0;
}

function nodeOperation(node: NodeProto): OnnxOperation {
  const type = node.opType ?? '';
  const repeatable = type.startsWith('Random')
    ? 'never'
    : LAYOUT_OPERATIONS.has(type)
      ? 'on inputs'
      : 'on constants';
  // ONNX writes '' for an omitted input or output.
  const [reads, writes] = [node.input, node.output].map((names) =>
    (names ?? []).filter((name) => name !== ''),
  );
  return { reads: reads ?? [], writes: writes ?? [], weightBytes: 0, repeatable, node };
}

function nameOf({ name }: { readonly name?: string | null }): string {
  return name ?? '';
}

function castNode(from: string, to: string, dataType: number): NodeProto {
  return {
    opType: 'Cast',
    name: `${to}/Cast`,
    input: [from],
    output: [to],
    attribute: [{ name: 'to', type: AttributeType.INT, i: dataType }],
  };
}

/** A value's bytes, with a nominal size for free dimensions; `undefined` for types that cannot cross. */
function nominalBytes({ type }: ValueInfoProto): number | undefined {
  const dtype = dtypeOf(type?.tensorType?.elemType ?? 0);
  const dims = type?.tensorType?.shape?.dim;
  if (!dtype || !dims) return undefined;
  return dims.reduce(
    (bytes, { dimValue, dimParam }) => bytes * (dimParam ? nominalSize(dimParam) : toNumber(dimValue)),
    byteWidth(dtype),
  );
}

/** `height * width / 4` with every symbol at its nominal size. */
function nominalSize(dimParam: string): number {
  const [product = '', divisor = '1'] = dimParam.split(' / ');
  const factors = product
    .split(' * ')
    .map((factor) => (/^\d+$/.test(factor) ? Number(factor) : NOMINAL_SIZE));
  return factors.reduce((size, factor) => size * factor, 1) / Number(divisor);
}

import { type OnnxModel, modelProto } from '../emit/onnx/build-model.ts';
import { layOutTensors, placements, type StoredTensor, storedSize } from '../emit/onnx/external-data.ts';
import { dataTypes, dtypeOf, type NodeProto, onnx, type TensorProto, toNumber, type ValueInfoProto } from '../emit/onnx/proto.ts';
import { byteWidth } from '../weights/dtype.ts';
import { type Chunk, type ChunkOperation, type CrossingValue, planChunks } from './plan.ts';

/**
 * Cuts an ONNX model into models that run one after another. A value that crosses keeps its name on both sides; a float16
 * one crosses as float32 (`<name>_float32`), which loses nothing and spares consumers float16 tensors.
 */

/** The chunks of a model, each under `maxBytes` of weights. Throws `ChunkBudgetError`. */
export function splitOnnx(model: OnnxModel, maxBytes: number): OnnxModel[] {
  const source = new Source(model);
  const plan = planChunks(source.operations, source.values, maxBytes);
  return plan.map((chunk, index) => source.cut(chunk, `chunk ${index + 1} of ${plan.length}`));
}

/** Size that a free dimension is taken to have when the bytes of values are compared. */
const NOMINAL_SIZE = 64;

class Source {
  readonly operations: readonly ChunkOperation[];
  readonly values: ReadonlyMap<string, CrossingValue>;
  readonly #model: OnnxModel;
  /** The nodes in order, without those that prepare givens. */
  readonly #nodes: readonly NodeProto[];
  readonly #givens: Givens;
  readonly #types: ReadonlyMap<string, ValueInfoProto>;

  constructor(model: OnnxModel) {
    this.#model = model;
    const { graph } = model.proto;
    this.#givens = new Givens(model);
    this.#nodes = (graph?.node ?? []).filter((node) => !this.#givens.prepares(node));
    this.#types = new Map([...(graph?.input ?? []), ...(graph?.valueInfo ?? []), ...(graph?.output ?? [])].map((info) => [info.name ?? '', info]));
    this.operations = this.#nodes.map((node) => ({
      reads: readsOf(node).filter((name) => !this.#givens.has(name)),
      writes: node.output ?? [],
      weightBytes: this.#givens.weightBytes(readsOf(node)),
    }));
    this.values = new Map([...this.#types].map(([name, info]) => [name, { byteLength: nominalBytes(info) }]));
  }

  /** One chunk as a model of its own. */
  cut({ from, to }: Chunk, title: string): OnnxModel {
    const { graph, metadataProps } = this.#model.proto;
    const nodes = this.#nodes.slice(from, to);
    const made = new Set(nodes.flatMap(({ output }) => output ?? []));
    const read = new Set(nodes.flatMap(readsOf));
    const earlier = new Set(this.#nodes.slice(0, from).flatMap(({ output }) => output ?? []));
    const later = new Set(this.#nodes.slice(to).flatMap(readsOf));

    const entering = [...read].filter((name) => earlier.has(name)).map((name) => this.#crossing(name));
    const leaving = [...made].filter((name) => later.has(name)).map((name) => this.#crossing(name));
    const givens = this.#givens.needed(read);
    const dataFiles = layOutTensors(givens.stored, 'model.onnx_data');
    const places = placements(dataFiles);
    const relocated = givens.initializers.map((tensor) => {
      const place = places.get(tensor.name ?? '');
      return place ? { ...tensor, externalData: Object.entries(place).map(([key, value]) => ({ key, value: String(value) })) } : tensor;
    });
    const metadata = Object.fromEntries((metadataProps ?? []).map(({ key, value }) => [key ?? '', value ?? '']));
    return {
      dataFiles,
      proto: modelProto(
        {
          name: graph?.name ?? 'main',
          node: [...entering.flatMap(({ enter }) => enter), ...givens.nodes, ...nodes, ...leaving.flatMap(({ leave }) => leave)],
          initializer: relocated,
          input: [...givens.inputs, ...entering.map(({ info }) => info)],
          output: [...leaving.map(({ info }) => info), ...(graph?.output ?? []).filter(({ name }) => made.has(name ?? ''))],
          valueInfo: (graph?.valueInfo ?? []).filter(({ name }) => made.has(name ?? '') && !leaving.some(({ info }) => info.name === name)),
        },
        { ...metadata, chunk: title },
      ),
    };
  }

  /** How a value leaves one chunk and enters the next. */
  #crossing(name: string): { info: ValueInfoProto; leave: NodeProto[]; enter: NodeProto[] } {
    const info = this.#types.get(name);
    const tensorType = info?.type?.tensorType;
    if (!info || !tensorType) throw new Error(`${name} crosses a cut, but its type is not declared`);
    if (tensorType.elemType !== dataTypes.f16) return { info, leave: [], enter: [] };
    const outside = `${name}_float32`;
    return {
      info: { name: outside, type: { tensorType: { ...tensorType, elemType: dataTypes.f32 } } },
      leave: [castNode(name, outside, dataTypes.f32)],
      enter: [castNode(outside, name, dataTypes.f16)],
    };
  }
}

/** Operations that only lay a value out anew: cheaper done again than carried across. */
const LAYOUT_OPERATIONS = new Set(['Cast', 'Transpose', 'Reshape']);

/**
 * What every chunk can have without another chunk's work: initializers, inputs, and what nodes make of initializers
 * alone (a float16 weight cast to float32) or by laying inputs out.
 */
class Givens {
  readonly #initializers: ReadonlyMap<string, TensorProto>;
  readonly #stored: ReadonlyMap<string, StoredTensor>;
  readonly #inputs: readonly ValueInfoProto[];
  readonly #known: Set<string>;
  readonly #prepared = new Map<string, NodeProto>();

  constructor({ proto, dataFiles }: OnnxModel) {
    this.#initializers = new Map((proto.graph?.initializer ?? []).map((tensor) => [tensor.name ?? '', tensor]));
    this.#stored = new Map(dataFiles.flatMap(({ tensors }) => tensors.map(({ tensor }) => [tensor.name, tensor])));
    this.#inputs = proto.graph?.input ?? [];
    const fixed = new Set(this.#initializers.keys());
    this.#known = new Set([...fixed, ...this.#inputs.map(({ name }) => name ?? '')]);
    const outputs = new Set(proto.graph?.output?.map(({ name }) => name));
    for (const node of proto.graph?.node ?? []) {
      const reads = readsOf(node);
      const unfolds = reads.length > 0 && reads.every((name) => fixed.has(name));
      const laysOut = LAYOUT_OPERATIONS.has(node.opType ?? '') && reads.every((name) => this.#known.has(name));
      if (!(unfolds || laysOut) || node.output?.some((name) => outputs.has(name))) continue;
      for (const output of node.output ?? []) {
        if (unfolds) fixed.add(output);
        this.#known.add(output);
        this.#prepared.set(output, node);
      }
    }
  }

  has(name: string): boolean {
    return this.#known.has(name);
  }

  prepares(node: NodeProto): boolean {
    return (node.output ?? []).some((name) => this.#prepared.has(name));
  }

  /** Bytes stored for what a node reads. */
  weightBytes(names: Iterable<string>): number {
    return this.needed(names).stored.reduce((sum, tensor) => sum + storedSize(tensor), 0);
  }

  /** Everything that must come along for these names to be known. */
  needed(names: Iterable<string>): { inputs: ValueInfoProto[]; initializers: TensorProto[]; stored: StoredTensor[]; nodes: NodeProto[] } {
    const wanted = new Set(names);
    // A set hands out what is added to it while it is walked.
    for (const name of wanted) for (const read of readsOf(this.#prepared.get(name) ?? {})) wanted.add(read);
    return {
      inputs: this.#inputs.filter(({ name }) => wanted.has(name ?? '')),
      initializers: [...wanted].flatMap((name) => this.#initializers.get(name) ?? []),
      stored: [...wanted].flatMap((name) => this.#stored.get(name) ?? []),
      nodes: [...wanted].reverse().flatMap((name) => this.#prepared.get(name) ?? []),
    };
  }
}

/** The names a node reads; ONNX writes an optional input that is left out as ''. */
function readsOf(node: NodeProto): string[] {
  return (node.input ?? []).filter((name) => name !== '');
}

function castNode(from: string, to: string, dataType: number): NodeProto {
  const { AttributeType } = onnx.AttributeProto;
  return { opType: 'Cast', name: `${to}/Cast`, input: [from], output: [to], attribute: [{ name: 'to', type: AttributeType.INT, i: dataType }] };
}

/** A value's bytes, with a nominal size for free dimensions; `undefined` for types that cannot cross. */
function nominalBytes({ type }: ValueInfoProto): number | undefined {
  const dtype = dtypeOf(type?.tensorType?.elemType ?? 0);
  const dims = type?.tensorType?.shape?.dim;
  if (!dtype || !dims) return undefined;
  return dims.reduce((bytes, { dimValue, dimParam }) => bytes * (dimParam ? nominalSize(dimParam) : toNumber(dimValue)), byteWidth(dtype));
}

/** `height * width / 4` with every symbol at its nominal size. */
function nominalSize(dimParam: string): number {
  const [product = '', divisor = '1'] = dimParam.split(' / ');
  const factors = product.split(' * ').map((factor) => (/^\d+$/.test(factor) ? Number(factor) : NOMINAL_SIZE));
  return factors.reduce((size, factor) => size * factor, 1) / Number(divisor);
}

import type { NetworkKind } from '../../../convert/networks/networks.ts';
import { UnsupportedModelError } from '../../../errors.ts';
import type { OnnxEdges, Port } from '../../client-form.ts';
import type { OnnxModel } from '../build-model.ts';
import { relocated, valueInfo } from '../build-model.ts';
import type { DataFile } from '../external-data.ts';
import { placements } from '../external-data.ts';
import { onnxNode } from '../onnx-writer.ts';
import {
  dataTypes,
  dtypeOf,
  type GraphProto,
  type NodeProto,
  type TensorProto,
  toNumber,
  type ValueInfoProto,
} from '../proto.ts';
import { boundDim, wantedPort } from './wanted-port.ts';

/**
 * A finished ONNX model with other edges: casts and reshapes go between its inputs and outputs and what a client wants,
 * and everything in between stays as it is. Its weights are the same bytes, so files for several clients can share them.
 */
export function withClientEdges(model: OnnxModel, kind: NetworkKind, edges: OnnxEdges): OnnxModel {
  const graph = model.proto.graph ?? {};
  const edit = new EdgeEdit(graph);
  const weights = new Set((graph.initializer ?? []).map(({ name }) => name));
  const input = (graph.input ?? []).flatMap((declared) => {
    const port = weights.has(declared.name) ? undefined : portOf(declared);
    const wanted = port && wantedPort(edges, kind, 'inputs', port);
    return port && wanted ? [edit.input(port, wanted)] : [declared];
  });
  const output = (graph.output ?? []).flatMap((declared) => {
    const port = portOf(declared);
    if (!port) return [declared];
    const wanted = wantedPort(edges, kind, 'outputs', port);
    return wanted ? [edit.output(port, wanted)] : [];
  });
  const dims = edges.dims[kind] ?? {};
  const edited = {
    ...graph,
    ...edit.finish(),
    input,
    output,
    valueInfo: edit.valueInfo().map((info) => withDims(info, dims)),
  };
  return withData({ ...model, proto: { ...model.proto, graph: edited } }, edges.data);
}

/** What an input or output is declared as; `undefined` where it is no tensor, or one of unknown rank. */
function portOf({ name, type }: ValueInfoProto): Port | undefined {
  const dtype = dtypeOf(type?.tensorType?.elemType ?? 0);
  const dims = type?.tensorType?.shape?.dim;
  if (!name || !dtype || !dims) return undefined;
  return { name, dtype, shape: dims.map(({ dimParam, dimValue }) => dimParam || toNumber(dimValue)) };
}

/** Collects the operations between a graph and its new edges. */
class EdgeEdit {
  readonly #graph: GraphProto;
  readonly #before: NodeProto[] = [];
  readonly #after: NodeProto[] = [];
  readonly #constants: TensorProto[] = [];
  /** Names inside of the graph that inputs and outputs had before. */
  readonly #inner = new Map<string, string>();

  constructor(graph: GraphProto) {
    this.#graph = graph;
  }

  /** Declares an input as it is wanted, and converts it to what the graph reads. */
  input(port: Port, wanted: Port): ValueInfoProto {
    if (isSameTensor(port, wanted)) return declaration(wanted);
    const inner = this.#rename(port.name);
    let [from, shape] = [wanted.name, wanted.shape];
    if (shape.length === 1 && port.shape.length === 0) {
      const first = this.#constant(`${inner}/first`, [], [0]);
      this.#before.push(edgeNode('Gather', [from, first], `${inner}/scalar`, { axis: 0 }));
      [from, shape] = [`${inner}/scalar`, []];
    } else if (shape.length === 0 && port.shape.length === 1) {
      const axes = this.#constant(`${inner}/axes`, [1], [0]);
      this.#before.push(edgeNode('Unsqueeze', [from, axes], `${inner}/row`));
      [from, shape] = [`${inner}/row`, [1]];
    }
    if (shape.length !== port.shape.length) throw notConvertible(port, wanted);
    this.#before.push(edgeNode('Cast', [from], inner, { to: dataTypes[port.dtype] }));
    return declaration(wanted);
  }

  /** Declares an output as it is wanted, and converts what the graph computes to it. */
  output(port: Port, wanted: Port): ValueInfoProto {
    if (isSameTensor(port, wanted)) return declaration(wanted);
    if (port.shape.length !== wanted.shape.length) throw notConvertible(port, wanted);
    const inner = this.#rename(port.name);
    let from = inner;
    const [channels, wantedChannels] = [port.shape[1], wanted.shape[1]];
    if (typeof channels === 'number' && typeof wantedChannels === 'number' && channels !== wantedChannels) {
      const [start, end, axis] = [0, wantedChannels, 1].map((value, index) =>
        this.#constant(`${inner}/mean_${index}`, [1], [value]),
      ) as [string, string, string];
      this.#after.push(edgeNode('Slice', [inner, start, end, axis], `${inner}/mean`));
      from = `${inner}/mean`;
    }
    this.#after.push(edgeNode('Cast', [from], wanted.name, { to: dataTypes[wanted.dtype] }));
    return declaration(wanted);
  }

  /** The nodes and initializers of the graph with its new edges. */
  finish(): Pick<GraphProto, 'node' | 'initializer'> {
    const nodes = (this.#graph.node ?? []).map((node) => this.#renamed(node));
    return {
      node: [...this.#before, ...nodes, ...this.#after],
      initializer: [...(this.#graph.initializer ?? []), ...this.#constants],
    };
  }

  /** Declarations of the values inside, under their new names. */
  valueInfo(): ValueInfoProto[] {
    return (this.#graph.valueInfo ?? []).map((info) => ({
      ...info,
      name: this.#inner.get(info.name ?? '') ?? info.name ?? '',
    }));
  }

  #rename(name: string): string {
    const inner = `${name}/edge`;
    this.#inner.set(name, inner);
    return inner;
  }

  #renamed(node: NodeProto): NodeProto {
    if (this.#inner.size === 0) return node;
    const rename = (name: string) => this.#inner.get(name) ?? name;
    const attribute = node.attribute?.map((each) =>
      each.g ? { ...each, g: this.#renamedGraph(each.g) } : each,
    );
    return {
      ...node,
      input: node.input?.map(rename) ?? [],
      output: node.output?.map(rename) ?? [],
      attribute: attribute ?? [],
    };
  }

  /** A branch or a loop body, which may read values of the graph around it. */
  #renamedGraph(graph: GraphProto): GraphProto {
    return { ...graph, node: graph.node?.map((node) => this.#renamed(node)) ?? [] };
  }

  #constant(name: string, dims: readonly number[], values: readonly number[]): string {
    const rawData = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    this.#constants.push({ name, dims: [...dims], dataType: dataTypes.i64, rawData });
    return name;
  }
}

/** A node between a graph and its edge; its output may be that of a node that the graph has had. */
function edgeNode(...node: Parameters<typeof onnxNode>): NodeProto {
  const made = onnxNode(...node);
  return { ...made, name: `${made.name}/edge` };
}

/** Whether only free sizes differ. */
function isSameTensor(port: Port, wanted: Port): boolean {
  return (
    port.name === wanted.name && port.dtype === wanted.dtype && port.shape.length === wanted.shape.length
  );
}

function declaration({ name, dtype, shape }: Port): ValueInfoProto {
  const info = valueInfo(name, { dtype, shape: [] });
  const dim = shape.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }));
  return { ...info, type: { tensorType: { elemType: dataTypes[dtype], shape: { dim } } } };
}

function withDims(info: ValueInfoProto, dims: Readonly<Record<string, string | number>>): ValueInfoProto {
  const { name, type } = info;
  const shape = type?.tensorType?.shape;
  if (!shape || Object.keys(dims).length === 0) return info;
  const dim = (shape.dim ?? []).map((each) => {
    if (!each.dimParam) return each;
    const bound = boundDim(each.dimParam, dims);
    return typeof bound === 'number' ? { dimValue: bound } : { dimParam: bound };
  });
  return { name: name ?? '', type: { ...type, tensorType: { ...type.tensorType, shape: { dim } } } };
}

/** The same weights under another name, or inside of the model. */
function withData(model: OnnxModel, data: string | null): OnnxModel {
  if (data === null) return { ...model, isOneFile: true };
  const dataFiles = model.dataFiles.map(
    (file, index): DataFile => ({ ...file, location: index === 0 ? data : `${data}_${index}` }),
  );
  const places = placements(dataFiles);
  const { graph } = model.proto;
  const initializer = (graph?.initializer ?? []).map((tensor) => relocated(tensor, places));
  return { dataFiles, proto: { ...model.proto, graph: { ...graph, initializer } } };
}

function notConvertible(port: Port, wanted: Port): UnsupportedModelError {
  const show = ({ name, dtype, shape }: Port) => `${name} ${dtype} [${shape.join(', ')}]`;
  return new UnsupportedModelError({
    problem: `${port.name} cannot be converted to the form that the client wants.`,
    details: { expected: show(wanted), found: show(port) },
    advice: 'Convert the checkpoint with sdconvert, and use that conversion.',
  });
}

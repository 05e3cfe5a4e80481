import type { MatrixLayer } from './mat-mul-n-bits.ts';
import { dataTypes, type GraphProto, type NodeProto, toNumber } from './proto.ts';

/** Use of a value as the weight of layers, and nothing else. */
export interface WeightUse {
  /** Axis of the output channels, and of the input channels, in a weight of a given rank. */
  readonly outputAxis: (rank: number) => number;
  readonly inputAxis: (rank: number) => number;
  /** The layers, where all are plain matrix products. */
  readonly layers: readonly MatrixLayer[] | undefined;
  /** Casts between the value and the layers, with no other reader. */
  readonly casts: readonly NodeProto[];
}

/** Casts in a row between a weight and its layers: exporters write one. */
const MOST_CASTS = 4;

/** Finds the values that are weights to all their readers, directly or cast to another precision. */
export function weightUses(graph: GraphProto): ReadonlyMap<string, WeightUse> {
  const readers = new Map<string, { readonly node: NodeProto; readonly at: number }[]>();
  for (const node of graph.node ?? []) {
    for (const [at, name] of (node.input ?? []).entries()) {
      const others = readers.get(name);
      if (others) others.push({ node, at });
      else readers.set(name, [{ node, at }]);
    }
  }
  const elsewhere = new Set([
    ...namesGivenTwice(graph),
    ...(graph.output ?? []).map(({ name }) => name ?? ''),
    ...namesInSubgraphs(graph),
  ]);
  const dtypes = new Map((graph.initializer ?? []).map(({ name, dataType }) => [name ?? '', dataType ?? 0]));

  const useOf = (value: string, dataType: number, casts = 0): WeightUse | undefined => {
    const reading = readers.get(value) ?? [];
    if (elsewhere.has(value) || reading.length === 0 || casts > MOST_CASTS) return undefined;
    const uses: WeightUse[] = [];
    for (const { node, at } of reading) {
      const isCast = node.opType === 'Cast' && at === 0;
      const use = isCast ? throughCast(node, casts + 1) : layerUse(node, at, dataType);
      if (!use) return undefined;
      uses.push(use);
    }
    const [first] = uses;
    if (!first) return undefined;
    const isPlain = uses.every(({ layers }) => layers);
    return {
      ...first,
      layers: isPlain ? uses.flatMap(({ layers }) => layers ?? []) : undefined,
      casts: uses.flatMap(({ casts }) => casts),
    };
  };
  const throughCast = (node: NodeProto, casts: number): WeightUse | undefined => {
    const to = toNumber(node.attribute?.find(({ name }) => name === 'to')?.i);
    const use = useOf(node.output?.[0] ?? '', to, casts);
    return use && { ...use, casts: [node, ...use.casts] };
  };

  const found = new Map<string, WeightUse>();
  for (const [name, dataType] of dtypes) {
    const use = useOf(name, dataType);
    if (use) found.set(name, use);
  }
  return found;
}

/** Use of a node's input number `at`. */
function layerUse(node: NodeProto, at: number, dataType: number): WeightUse | undefined {
  const plain = (output: (rank: number) => number, input: (rank: number) => number): WeightUse => ({
    outputAxis: output,
    inputAxis: input,
    layers: undefined,
    casts: [],
  });
  const attribute = (name: string): number | undefined => {
    const found = node.attribute?.find((each) => each.name === name);
    return found && (found.f || toNumber(found.i));
  };
  switch (`${node.opType} ${at}`) {
    case 'Conv 1':
      return plain(
        () => 0,
        () => 1,
      );
    case 'ConvTranspose 1':
      return plain(
        () => 1,
        () => 0,
      );
    case 'MatMul 0':
      return plain(
        (rank) => rank - 2,
        (rank) => rank - 1,
      );
    case 'MatMul 1':
      return {
        ...plain(
          (rank) => rank - 1,
          (rank) => rank - 2,
        ),
        layers: layersOf(node, dataType),
      };
    case 'Gemm 1': {
      const isRows = attribute('transB') === 1;
      const isProduct =
        !attribute('transA') && (attribute('alpha') ?? 1) === 1 && (attribute('beta') ?? 1) === 1;
      const axes = isRows
        ? plain(
            () => 0,
            () => 1,
          )
        : plain(
            () => 1,
            () => 0,
          );
      return { ...axes, layers: isProduct ? layersOf(node, dataType) : undefined };
    }
    default:
      return undefined;
  }
}

function layersOf(node: NodeProto, dataType: number): MatrixLayer[] | undefined {
  if (dataType === dataTypes.f16) return [{ node, dtype: 'f16' }];
  return dataType === dataTypes.f32 ? [{ node, dtype: 'f32' }] : undefined;
}

/** Names that several nodes give, which no valid model has: what is followed from one to the next would branch without end. */
function namesGivenTwice({ node: nodes }: GraphProto): string[] {
  const given = new Set<string>();
  const twice: string[] = [];
  for (const { output } of nodes ?? [])
    for (const name of output ?? [])
      if (given.has(name)) twice.push(name);
      else given.add(name);
  return twice;
}

/** Names that the subgraphs of a graph's nodes (If, Loop) read. */
function namesInSubgraphs({ node: nodes }: GraphProto): string[] {
  return (nodes ?? [])
    .flatMap(({ attribute }) =>
      (attribute ?? []).flatMap(({ g, graphs }) => [...(g ? [g] : []), ...(graphs ?? [])]),
    )
    .flatMap((inner) => [
      ...(inner.node ?? []).flatMap(({ input }) => input ?? []),
      ...namesInSubgraphs(inner),
    ]);
}

import { byteWidth, elementCount } from '../../../weights/dtype.ts';
import { dtypeOf, type ModelProto, type NodeProto, toNumber, type ValueInfoProto } from '../proto.ts';

/**
 * What computing a model with onnxruntime costs, node by node, where the shapes of its values are declared: memory,
 * counted as its allocator works without an arena, and multiplications.
 */

/** Cost of a node. */
export interface NodeCost {
  /** Bytes of what it makes of constants alone: a copy of a weight in another dtype, say. */
  readonly constantBytes: number;
  /** Bytes of the computed values that exist while it runs, whether it needs them or others will; weights aside. */
  readonly workBytes: number;
  /** Products of elements that it adds up. */
  readonly products: number;
}

/** Operations whose result lies in the memory of their first input. */
const VIEWS = new Set(['Reshape', 'Squeeze', 'Unsqueeze', 'Flatten', 'Identity']);

/** The costs of a model; its nodes must be in an order of computation. */
export class ModelCosts {
  /** The cost of each node. */
  readonly nodes: ReadonlyMap<NodeProto, NodeCost>;
  readonly #values: ValueSizes;

  constructor({ graph }: ModelProto) {
    this.#values = new ValueSizes(graph);
    this.nodes = nodeCosts(graph, this.#values);
  }

  /** A value's shape; `undefined` where it is not known. */
  shapeOf(name: string): readonly number[] | undefined {
    return this.#values.shapeOf(name);
  }
}

function nodeCosts(graph: ModelProto['graph'], values: ValueSizes): Map<NodeProto, NodeCost> {
  const nodes = graph?.node ?? [];
  const lastRead = new Map<string, number>();
  for (const [at, { input }] of nodes.entries())
    for (const name of input ?? []) lastRead.set(values.storageOf(name), at);
  for (const { name } of graph?.output ?? []) lastRead.set(values.storageOf(name ?? ''), nodes.length);
  const endingAt = Map.groupBy(lastRead.keys(), (name) => lastRead.get(name));
  const computed = (names: Iterable<string>): number =>
    [...names].reduce((sum, name) => sum + (values.isConstant(name) ? 0 : values.bytesOf(name)), 0);
  const constant = (names: readonly string[]): number =>
    names.reduce((sum, name) => sum + (values.isConstant(name) ? values.bytesOf(name) : 0), 0);
  let alive = computed((graph?.input ?? []).map(({ name }) => name ?? ''));
  return new Map(
    nodes.map((node, at) => {
      const made = (node.output ?? []).filter((name) => values.storageOf(name) === name);
      const workBytes = alive + computed(made);
      alive =
        workBytes - computed(made.filter((name) => !lastRead.has(name))) - computed(endingAt.get(at) ?? []);
      return [node, { constantBytes: constant(made), workBytes, products: productsOf(node, values) }];
    }),
  );
}

/** Sizes of a graph's values. */
class ValueSizes {
  readonly #shapes = new Map<string, readonly number[]>();
  readonly #bytes = new Map<string, number>();
  readonly #storages = new Map<string, string>();
  readonly #constants = new Set<string>();

  constructor(graph: ModelProto['graph']) {
    const { node, initializer, input, valueInfo, output } = graph ?? {};
    for (const info of [input, valueInfo, output].flatMap((infos) => infos ?? [])) this.#declare(info);
    for (const { name, dims, dataType } of initializer ?? []) {
      this.#constants.add(name ?? '');
      this.#set(name ?? '', (dims ?? []).map(toNumber), dataType);
    }
    for (const each of node ?? []) this.#compute(each);
  }

  /** Its shape; `undefined` where it is not known. */
  shapeOf(name: string): readonly number[] | undefined {
    return this.#shapes.get(name);
  }

  bytesOf(name: string): number {
    return this.#bytes.get(name) ?? 0;
  }

  /** The value in whose memory a value lies. */
  storageOf(name: string): string {
    return this.#storages.get(name) ?? name;
  }

  isConstant(name: string): boolean {
    return this.#constants.has(name);
  }

  #declare({ name, type }: ValueInfoProto): void {
    const shape = fixedShape(type?.tensorType?.shape);
    if (shape) this.#set(name ?? '', shape, type?.tensorType?.elemType);
  }

  #set(name: string, shape: readonly number[], elemType: number | null | undefined): void {
    const dtype = dtypeOf(elemType ?? 0);
    this.#shapes.set(name, shape);
    // Types without a dtype of ours are of less than a byte.
    this.#bytes.set(name, elementCount(shape) * (dtype ? byteWidth(dtype) : 1));
  }

  #compute({ opType, input, output }: NodeProto): void {
    const read = (input ?? []).filter((name) => name !== '');
    const isConstant = read.every((name) => this.#constants.has(name)) && !opType?.startsWith('Random');
    for (const name of output ?? []) {
      if (isConstant) this.#constants.add(name);
      if (VIEWS.has(opType ?? '')) this.#storages.set(name, this.storageOf(read[0] ?? ''));
      // The few of unknown shape (inside GroupNormalization) are as large as what they are made of.
      if (!this.#bytes.has(name))
        this.#bytes.set(name, Math.max(0, ...read.map((each) => this.bytesOf(each))));
    }
  }
}

/** A declared shape, where every size is a number. */
function fixedShape(
  shape: NonNullable<NonNullable<ValueInfoProto['type']>['tensorType']>['shape'],
): readonly number[] | undefined {
  if (!shape) return undefined;
  const dims = shape.dim ?? [];
  // A size that is not known has no name, and in a message that was read the number 0.
  const isFixed = dims.every(({ dimValue, dimParam }) => !dimParam && toNumber(dimValue) > 0);
  return isFixed ? dims.map(({ dimValue }) => toNumber(dimValue)) : undefined;
}

function productsOf({ opType, input, output, attribute }: NodeProto, values: ValueSizes): number {
  const [first = [], second = []] = (input ?? []).map((name) => values.shapeOf(name));
  const results = elementCount(values.shapeOf(output?.[0] ?? '') ?? [0]);
  switch (opType) {
    case 'Conv':
      return results * elementCount(second.slice(1));
    case 'MatMul':
    case 'Gemm':
    case 'MatMulNBits':
      return results * (first.at(-1) ?? 0);
    case 'Einsum': {
      const equation = attribute?.find(({ name }) => name === 'equation')?.s;
      return einsumProducts(new TextDecoder().decode(equation ?? undefined), [first, second]);
    }
    default:
      return 0;
  }
}

/** The product of the sizes of all letters: `bhqc,bkhc->bkhq`. */
function einsumProducts(equation: string, shapes: readonly (readonly number[])[]): number {
  const sizes = new Map<string, number>();
  for (const [at, term] of (equation.split('->')[0] ?? '').split(',').entries())
    for (const [axis, letter] of [...term.trim()].entries()) sizes.set(letter, shapes[at]?.[axis] ?? 1);
  return elementCount([...sizes.values()]);
}

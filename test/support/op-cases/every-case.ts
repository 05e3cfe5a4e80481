import { cast } from '../../../src/graph/functions.ts';
import { type Graph, GraphBuilder } from '../../../src/graph/graph.ts';
import type { ComputedOp, OpKind } from '../../../src/graph/op.ts';
import type { Tensor } from '../../../src/graph/tensor.ts';
import type { TensorData } from '../../../src/weights/tensor-data.ts';
import { memoryWeight } from '../memory-weight.ts';
import { elementwise } from './elementwise.ts';
import { functions } from './functions.ts';
import { movements } from './movements.ts';
import { norms } from './norms.ts';
import type { Case, Operand, Rows, Values } from './op-case.ts';
import { products } from './products.ts';
import { sources } from './sources.ts';

/** Every operation, at least once: one without a row does not compile. */
const opCases: Rows<OpKind> = { ...sources, ...products, ...elementwise, ...norms, ...movements };

/** A case, and how its result is computed. */
export interface NamedCase extends Case {
  /** The operation, and what is special about the case. */
  readonly name: string;
  /** Unlike any other's, in letters and digits: its place in a graph of many. */
  readonly id: string;
  /** Records the result, an operation's under a name. */
  readonly compute: (builder: GraphBuilder, operands: readonly Tensor[], name: string) => Tensor;
}

export const everyCase: readonly NamedCase[] = [
  ...named(opCases, (kind, each) => ({
    compute(builder, operands, name): Tensor {
      const [only] = operands;
      if (Object.hasOwn(sources, kind) && only) return only;
      // as: `Rows` pairs each kind with its attributes, which `Object.entries` forgets.
      return builder.apply({ kind, ...each.attributes } as ComputedOp, operands, name);
    },
  })),
  ...named(functions, (_, { compute }) => ({ compute: (_builder, operands) => compute(operands) })),
];

function named<Each extends Case>(
  table: Readonly<Record<string, readonly Each[]>>,
  how: (name: string, each: Each) => Pick<NamedCase, 'compute'>,
): NamedCase[] {
  return Object.entries(table).flatMap(([name, cases]) =>
    cases.map((each, index) => ({
      ...each,
      name: each.with ? `${name}, ${each.with}` : name,
      id: `${name}_${index}`,
      ...how(name, each),
    })),
  );
}

/** The graph of a case, with the output `y`. */
export function graphOfCase(each: NamedCase): Graph {
  const builder = new GraphBuilder();
  return builder.finish([record(builder, each, '')]);
}

/** The graph of many cases, with the inputs and outputs of each behind its id: `add_0_x0`, `add_0_y`. */
export function graphOfCases(cases: readonly NamedCase[]): Graph {
  const builder = new GraphBuilder();
  return builder.finish(cases.map((each) => record(builder, each, `${each.id}_`)));
}

/** The result of a case in a graph of its own. */
export function resultOfCase(each: NamedCase): Tensor {
  const builder = new GraphBuilder();
  return each.compute(builder, recordOperands(builder, each, ''), 'y');
}

/** What a caller of a case's graph provides, or of a graph of many, where names begin with `prefix`. */
export function feedsOfCase({ operands }: Case, prefix = ''): [string, TensorData<'f32' | 'i32' | 'i64'>][] {
  return operands.flatMap((operand, index) =>
    operand.from === 'input' ? [[`${prefix}x${index}`, tensorData(operand)]] : [],
  );
}

/** What the plain loops compute. */
export function expectedOfCase({ operands, reference }: Case): number[] {
  return reference(...operands.map(valuesOf));
}

/** Truths leave the graph as numbers: Core ML has no others at its borders. */
function record(builder: GraphBuilder, each: NamedCase, prefix: string): { name: string; tensor: Tensor } {
  const isTruth = each.type.startsWith('bool');
  const name = `${prefix}${isTruth ? 'truth' : 'y'}`;
  const tensor = each.compute(builder, recordOperands(builder, each, prefix), name);
  return { name: `${prefix}y`, tensor: isTruth ? cast(tensor, 'i32') : tensor };
}

function recordOperands(builder: GraphBuilder, { operands }: Case, prefix: string): Tensor[] {
  return operands.map((operand, index) => recordOperand(builder, operand, prefix, index));
}

function recordOperand(
  builder: GraphBuilder,
  { from, dtype, shape, values }: Operand,
  prefix: string,
  index: number,
): Tensor {
  const fractions = Float32Array.from(values);
  switch (from) {
    case 'input':
      return builder.input(`${prefix}x${index}`, { dtype, shape });
    case 'weight':
      return builder.weight(memoryWeight(`${prefix}w${index}`, shape, fractions), { dtype, shape });
    case 'constant':
      return builder.constant(
        dtype === 'f32' ? fractions : Int32Array.from(values),
        shape,
        `${prefix}c${index}`,
      );
  }
}

function tensorData({ dtype, shape, values }: Operand): TensorData<'f32' | 'i32' | 'i64'> {
  switch (dtype) {
    case 'f32':
      return { dtype, shape, data: Float32Array.from(values) };
    case 'i32':
      return { dtype, shape, data: Int32Array.from(values) };
    case 'i64':
      return { dtype, shape, data: BigInt64Array.from(values, BigInt) };
  }
}

function valuesOf({ shape, values }: Operand): Values {
  const at = (...index: readonly number[]): number => {
    if (index.length !== shape.length) throw new RangeError(`${index.length} indices into [${shape}]`);
    const inside = index.every((position, axis) => position >= 0 && position < (shape[axis] ?? 0));
    return inside
      ? (values[index.reduce((offset, position, axis) => offset * (shape[axis] ?? 0) + position, 0)] ?? 0)
      : 0;
  };
  return { all: values, at };
}

import type { Operation, ProgramGraph, Value } from '../program.ts';

/** Axes of a layer's weight. */
export interface WeightUse {
  readonly outputAxis: number;
  readonly inputAxis: number;
}

const CONSTANT = 'primitive.constant_v1';

/** Casts and transpositions on the way to a layer; networks have one of each. */
const MOST_STEPS = 8;

/** A place where a value is read. */
interface Reading {
  readonly operation: Operation;
  readonly at: number;
}

/** Finds the constants of a graph that are weights of layers to all their readers, cast or transposed on the way or not. */
export function weightUses(graph: ProgramGraph): ReadonlyMap<Value, WeightUse> {
  const readings = new Map<Value, Reading[]>();
  const constants = new Map<Value, Operation>();
  for (const operation of graph.operations) {
    for (const [at, value] of operation.operands.entries())
      readings
        .set(value, readings.get(value) ?? [])
        .get(value)
        ?.push({ operation, at });
    const [result] = operation.results;
    if (result && operation.name === CONSTANT) constants.set(result, operation);
  }
  const outputs = new Set(graph.outputs.map(({ value }) => value));

  const useOf = (value: Value, steps = 0): WeightUse | undefined => {
    if (steps > MOST_STEPS) return undefined;
    const rank = value.type.shape.length;
    const uses = (readings.get(value) ?? []).map((reading) => useAt(reading, rank, steps + 1));
    const [first] = uses;
    const isOne = uses.every(
      (use) => use && use.outputAxis === first?.outputAxis && use.inputAxis === first?.inputAxis,
    );
    return isOne && !outputs.has(value) ? first : undefined;
  };
  const useAt = ({ operation, at }: Reading, rank: number, steps: number): WeightUse | undefined => {
    const [result] = operation.results;
    switch (`${operation.name} ${at}`) {
      case 'primitive.conv2d_v1 1':
        return { outputAxis: 0, inputAxis: 1 };
      case 'primitive.batch_matmul_v1 0':
      case 'broadcasting_batch_matmul_v1 0':
        return { outputAxis: rank - 2, inputAxis: rank - 1 };
      case 'primitive.batch_matmul_v1 1':
      case 'broadcasting_batch_matmul_v1 1':
        return { outputAxis: rank - 1, inputAxis: rank - 2 };
      case 'primitive.cast_v1 0':
        return result && useOf(result, steps);
      case 'primitive.transpose_v1 0': {
        const use = result && useOf(result, steps);
        const [, order] = operation.operands;
        const perm = order && orderOf(constants.get(order));
        if (!use || !perm) return undefined;
        return { outputAxis: perm[use.outputAxis] ?? 0, inputAxis: perm[use.inputAxis] ?? 0 };
      }
      default:
        return undefined;
    }
  };

  const found = new Map<Value, WeightUse>();
  for (const value of constants.keys()) {
    const use = useOf(value);
    if (use) found.set(value, use);
  }
  return found;
}

/** Most dimensions of a tensor, as the reader of programs has it. */
const MOST_AXES = 16;

/** The order of axes that a constant of 32-bit whole numbers gives, which stands in the program. */
function orderOf(constant: Operation | undefined): readonly number[] | undefined {
  const [stored] = constant?.properties ?? [];
  const element = constant?.results[0]?.type.element;
  if (stored?.kind !== 'tensor' || stored.splat || (element !== 'u32' && element !== 'i32')) return undefined;
  if (stored.bytes.length > 4 * MOST_AXES) return undefined;
  return Array.from(new Uint32Array(stored.bytes.slice().buffer));
}

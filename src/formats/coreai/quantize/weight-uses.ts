import type { Operation, ProgramGraph, Value } from '../program.ts';

/** Axes of a layer's weight. */
export interface WeightUse {
  readonly outputAxis: number;
  readonly inputAxis: number;
}

const CONSTANT = 'primitive.constant_v1';

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

  const useOf = (value: Value): WeightUse | undefined => {
    const uses = (readings.get(value) ?? []).map((reading) => useAt(reading, value.type.shape.length));
    const [first] = uses;
    const isOne = uses.every(
      (use) => use && use.outputAxis === first?.outputAxis && use.inputAxis === first?.inputAxis,
    );
    return isOne && !outputs.has(value) ? first : undefined;
  };
  const useAt = ({ operation, at }: Reading, rank: number): WeightUse | undefined => {
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
        return result && useOf(result);
      case 'primitive.transpose_v1 0': {
        const use = result && useOf(result);
        const [, order] = operation.operands;
        const perm = order && wholeNumbers(constants.get(order));
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

/** The numbers of a constant of 32-bit whole numbers that stands in the program. */
function wholeNumbers(constant: Operation | undefined): readonly number[] | undefined {
  const [stored] = constant?.properties ?? [];
  if (stored?.kind !== 'tensor' || stored.splat) return undefined;
  const bytes = stored.bytes.slice();
  return Array.from(new Uint32Array(bytes.buffer));
}

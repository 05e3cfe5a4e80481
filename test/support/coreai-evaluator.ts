import type { Operation, Program, Region, TensorType, Value } from '../../src/formats/coreai/program.ts';
import { readStream } from '../../src/weights/tensor-stream.ts';
import { constantNumbers } from './coreai-constants.ts';
import { calledGraph } from './coreai-text.ts';
import { erf } from './op-cases/op-case.ts';

/**
 * Computes a program by plain loops in float64: primitive operations as they are documented, every composite one by its
 * decomposition, every declared graph by its body. It shows that these are true, which runtimes that know better do not.
 */
export async function evaluate(
  { graphs }: Program,
  inputs: ReadonlyMap<string, readonly number[]>,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const main = graphs.find(({ name }) => name === 'main');
  if (!main) throw new Error('the program has no main');
  const values = new Map<Value, Tensor>();
  for (const { name = '', value } of main.inputs)
    values.set(value, tensor(inputs.get(name) ?? [], value.type));
  await run(main.operations, values, graphs);
  return new Map(main.outputs.map(({ name = '', value }) => [name, found(values, value).numbers]));
}

interface Tensor {
  readonly numbers: readonly number[];
  readonly shape: readonly number[];
}

type Values = Map<Value, Tensor>;

async function run(
  operations: readonly Operation[],
  values: Values,
  graphs: Program['graphs'],
): Promise<readonly Tensor[]> {
  for (const operation of operations) {
    const operands = operation.operands.map((value) => found(values, value));
    if (operation.name === 'dataflow.yield_v1') return operands;
    const results = await compute(operation, operands, graphs);
    for (const [index, value] of operation.results.entries()) {
      const result = results[index];
      if (!result || result.numbers.length !== size(value.type))
        throw new Error(`${operation.name}: ${result?.shape} for ${value.type.shape}`);
      values.set(value, tensor(result.numbers, value.type));
    }
  }
  return [];
}

async function compute(
  operation: Operation,
  operands: readonly Tensor[],
  graphs: Program['graphs'],
): Promise<readonly Tensor[]> {
  const { name, regions, results, properties } = operation;
  const [region] = regions;
  const type = results[0]?.type;
  if (!type) throw new Error(`${name} has no result`);
  if (name === 'primitive.constant_v1') return [await constant(operation, type)];
  if (name === 'dataflow.invoke_v1') {
    const graph = calledGraph(operation, graphs);
    const values: Values = new Map(graph.inputs.map(({ value }, at) => [value, operands[at] ?? none()]));
    await run(graph.operations, values, graphs);
    return graph.outputs.map(({ value }) => found(values, value));
  }
  if (name === 'primitive.reduce_v1' && region) return [await reduce(region, operands, type, graphs)];
  if (region) return run(region.operations, given(region, operands), graphs);
  const primitive = primitives[name.replace(/^primitive\./, '').replace(/_v\d$/, '')];
  if (!primitive) throw new Error(`${name} has no decomposition`);
  const numbers = primitive(operands, shapeOf(type), properties);
  return [{ numbers, shape: shapeOf(type) }];
}

function given({ arguments: names }: Region, operands: readonly Tensor[]): Values {
  return new Map(names.map((value, at) => [value, operands[at] ?? none()]));
}

async function constant({ properties: [stored] }: Operation, type: TensorType): Promise<Tensor> {
  if (stored?.kind === 'resource')
    return tensor(constantNumbers(await readStream(stored.tensor), type.element), type);
  if (stored?.kind !== 'tensor') throw new Error('a constant of another kind');
  const numbers = constantNumbers(stored.bytes, type.element);
  return tensor(stored.splat ? Array<number>(size(type)).fill(numbers[0] ?? 0) : numbers, type);
}

/** Folds an axis after another with the operation of the region. */
async function reduce(
  region: Region,
  [x, axes, start]: readonly Tensor[],
  type: TensorType,
  graphs: Program['graphs'],
): Promise<Tensor> {
  if (!x || !axes || !start) return none();
  const shape = shapeOf(type);
  const result = Array<number>(size(type)).fill(start.numbers[0] ?? 0);
  for (const [at, number] of x.numbers.entries()) {
    const place = indices(x.shape, at).map((index, axis) => (axes.numbers.includes(axis) ? 0 : index));
    const to = offset(shape, place);
    const operands = [result[to] ?? 0, number].map((each) => ({ numbers: [each], shape: [] }));
    const [folded] = await run(region.operations, given(region, operands), graphs);
    result[to] = folded?.numbers[0] ?? Number.NaN;
  }
  return { numbers: result, shape };
}

type Primitive = (
  operands: readonly Tensor[],
  shape: readonly number[],
  properties: Operation['properties'],
) => number[];

const each =
  (f: (...numbers: number[]) => number): Primitive =>
  (operands) => {
    const [first = none()] = operands;
    for (const { shape } of operands)
      if (String(shape) !== String(first.shape)) throw new Error(`[${shape}] beside [${first.shape}]`);
    return first.numbers.map((_, at) => f(...operands.map(({ numbers }) => numbers[at] ?? Number.NaN)));
  };

/** The number at each place of the result, by the place in the first operand that it is from. */
const moved =
  (from: (place: readonly number[], operands: readonly Tensor[]) => readonly number[]): Primitive =>
  (operands, shape) => {
    const [x = none()] = operands;
    return fill(shape, (place) => x.numbers[offset(x.shape, from(place, operands))] ?? Number.NaN);
  };

const primitives: Readonly<Record<string, Primitive>> = {
  add: each((a = 0, b = 0) => a + b),
  sub: each((a = 0, b = 0) => a - b),
  mul: each((a = 0, b = 0) => a * b),
  divide: each((a = 0, b = 0) => a / b),
  maximum: each(Math.max),
  equal: each((a, b) => Number(a === b)),
  greater: each((a = 0, b = 0) => Number(a > b)),
  where: each((condition, a = 0, b = 0) => (condition ? a : b)),
  exp: each(Math.exp),
  tanh: each(Math.tanh),
  sin: each(Math.sin),
  cos: each(Math.cos),
  sqrt: each(Math.sqrt),
  rsqrt: each((x = 0) => 1 / Math.sqrt(x)),
  gelu: each((x = 0) => (x * (1 + erf(x / Math.SQRT2))) / 2),
  cast: ([x]) => [...(x?.numbers ?? [])],
  reshape: ([x]) => [...(x?.numbers ?? [])],
  transpose: moved((place, [, perm]) => {
    const from: number[] = [];
    for (const [at, axis] of (perm?.numbers ?? []).entries()) from[axis] = place[at] ?? 0;
    return from;
  }),
  broadcast_in_dims: moved((place, [x, , axes]) =>
    place.map((index, axis) => (axes?.numbers.includes(axis) && x?.shape[axis] === 1 ? 0 : index)),
  ),
  slice: moved((place, [, starts, , strides]) =>
    place.map((index, axis) => (starts?.numbers[axis] ?? 0) + index * (strides?.numbers[axis] ?? 1)),
  ),
  pad: ([x = none(), sides, value], shape) =>
    fill(shape, (place) => {
      const from = place.map((index, axis) => index - (sides?.numbers[2 * axis] ?? 0));
      const isInside = from.every((index, axis) => index >= 0 && index < (x.shape[axis] ?? 0));
      return (isInside ? x.numbers[offset(x.shape, from)] : value?.numbers[0]) ?? Number.NaN;
    }),
  concat([axis, ...parts], shape) {
    const along = axis?.numbers[0] ?? 0;
    return fill(shape, (place) => {
      let index = place[along] ?? 0;
      for (const { shape: own, numbers } of parts) {
        const length = own[along] ?? 0;
        if (index < length) return numbers[offset(own, place.toSpliced(along, 1, index))] ?? Number.NaN;
        index -= length;
      }
      return Number.NaN;
    });
  },
  gather_nd: ([x = none(), index = none()], shape) =>
    fill(shape, (place) => {
      const count = index.shape.at(-1) ?? 1;
      const rows = place.slice(0, index.shape.length - 1);
      const from = Array.from(
        { length: count },
        (_, at) => index.numbers[offset(index.shape, [...rows, at])] ?? 0,
      );
      return x.numbers[offset(x.shape, [...from, ...place.slice(rows.length)])] ?? Number.NaN;
    }),
  batch_matmul: ([a = none(), b = none()], shape) =>
    fill(shape, (place) => {
      const [batch, row = 0, column = 0] = [place.slice(0, -2), place.at(-2), place.at(-1)];
      let sum = 0;
      for (let k = 0; k < (a.shape.at(-1) ?? 0); k++)
        sum +=
          (a.numbers[offset(a.shape, [...batch, row, k])] ?? Number.NaN) *
          (b.numbers[offset(b.shape, [...batch, k, column])] ?? Number.NaN);
      return sum;
    }),
  conv2d: ([x = none(), weight = none(), stride], shape) =>
    fill(shape, ([n = 0, o = 0, i = 0, j = 0]) => {
      const [, channels = 0, height = 0, width = 0] = weight.shape;
      const [down = 1, right = 1] = stride?.numbers ?? [];
      let sum = 0;
      for (const place of places([channels, height, width])) {
        const [c = 0, y = 0, z = 0] = place;
        sum +=
          (x.numbers[offset(x.shape, [n, c, i * down + y, j * right + z])] ?? Number.NaN) *
          (weight.numbers[offset(weight.shape, [o, ...place])] ?? Number.NaN);
      }
      return sum;
    }),
};

function fill(shape: readonly number[], element: (place: readonly number[]) => number): number[] {
  return places(shape).map(element);
}

function places(shape: readonly number[]): number[][] {
  const count = shape.reduce((product, each) => product * each, 1);
  return Array.from({ length: count }, (_, at) => indices(shape, at));
}

function indices(shape: readonly number[], at: number): number[] {
  let rest = at;
  return shape
    .toReversed()
    .map((each) => {
      const index = rest % each;
      rest = Math.floor(rest / each);
      return index;
    })
    .reverse();
}

function offset(shape: readonly number[], place: readonly number[]): number {
  return shape.reduce((sum, each, axis) => sum * each + (place[axis] ?? 0), 0);
}

function tensor(numbers: readonly number[], type: TensorType): Tensor {
  return { numbers, shape: shapeOf(type) };
}

function shapeOf({ shape }: TensorType): number[] {
  return shape.map((each) => each ?? Number.NaN);
}

function size(type: TensorType): number {
  return shapeOf(type).reduce((product, each) => product * each, 1);
}

function found(values: Values, value: Value): Tensor {
  return values.get(value) ?? none();
}

function none(): never {
  throw new Error('a value is missing');
}

import { ShapeError } from '../errors.ts';
import { isFloat } from '../weights/dtype.ts';
import {
  addDims,
  type Dim,
  formatDim,
  leastOf,
  multiplyDims,
  sameDim,
  subtractDims,
  windowDim,
} from './dim.ts';
import {
  broadcast,
  expect,
  expectAxis,
  expectNumber,
  expectVector,
  Misfit,
  present,
  ranked,
  sameDType,
  typeOf,
} from './misfit.ts';
import type { ComputedOp, OpOf } from './op.ts';
import { dimAt, formatShape, type Shape, sameShape } from './shape.ts';
import type { Tensor, TensorType } from './tensor.ts';

type Rule<K extends ComputedOp['kind']> = (op: OpOf<K>, inputs: readonly TensorType[]) => TensorType;

/** One rule an operation: the type of its result, or a `Misfit` that says what does not fit. */
const rules: { readonly [K in ComputedOp['kind']]: Rule<K> } = {
  conv2d({ stride, pads }, [x, weight, bias]) {
    const { shape } = ranked(x, 4, 'x');
    const [batch, channels, height, width] = fourOf(shape);
    const [out, into, kernelHeight, kernelWidth] = fourOf(ranked(weight, 4, 'weight').shape);
    expect(
      sameDim(into, channels),
      () =>
        `the weight ${formatShape(typeOf(weight).shape)} reads another number of channels than x ${formatShape(shape)} has`,
    );
    expectVector(bias, out, 'bias');
    return {
      dtype: sameDType(...present(x, weight, bias)),
      shape: [
        batch,
        out,
        windowed(height, kernelHeight, stride, pads.top + pads.bottom),
        windowed(width, kernelWidth, stride, pads.left + pads.right),
      ],
    };
  },
  linear(_, [x, weight, bias]) {
    const { shape } = typeOf(x);
    const [out, into] = twoOf(ranked(weight, 2, 'weight').shape);
    expect(
      sameDim(into, dimAt(shape, -1)),
      () => `the weight ${formatShape([out, into])} reads another width than x ${formatShape(shape)} has`,
    );
    expectVector(bias, out, 'bias');
    return { dtype: sameDType(...present(x, weight, bias)), shape: [...shape.slice(0, -1), out] };
  },
  matmul({ transposeA, transposeB }, [a, b]) {
    const left = swapped(typeOf(a).shape, transposeA);
    const right = swapped(typeOf(b).shape, transposeB);
    expect(
      left.length === right.length && sameDim(dimAt(left, -1), dimAt(right, -2)),
      () => `${formatShape(left)} cannot be multiplied by ${formatShape(right)}`,
    );
    return {
      dtype: sameDType(a, b),
      shape: [...broadcast(left.slice(0, -2), right.slice(0, -2)), dimAt(left, -2), dimAt(right, -1)],
    };
  },
  einsum({ equation }, [a, b]) {
    const [operands = '', result = ''] = equation.split('->');
    const sizes = new Map<string, Dim>();
    operands.split(',').forEach((letters, index) => {
      const { shape } = ranked([a, b][index], letters.length, `operand ${index + 1}`);
      [...letters].forEach((letter, axis) => {
        const size = sizes.get(letter) ?? dimAt(shape, axis);
        expect(
          sameDim(size, dimAt(shape, axis)),
          () =>
            `${equation}: '${letter}' is both ${formatShape([size])} and ${formatShape([dimAt(shape, axis)])}`,
        );
        sizes.set(letter, size);
      });
    });
    const sizeOf = (letter: string): Dim => {
      const size = sizes.get(letter);
      if (size === undefined) throw new Misfit(`${equation}: nothing gives '${letter}' a size`);
      return size;
    };
    return { dtype: sameDType(a, b), shape: [...result].map(sizeOf) };
  },
  add: elementwise,
  mul: elementwise,
  equal: comparison,
  greater: comparison,
  relu: unary,
  silu: unary,
  sigmoid: unary,
  gelu: unary,
  tanh: unary,
  sin: unary,
  cos: unary,
  softmax({ axis }, [x]) {
    dimAt(typeOf(x).shape, axis);
    return typeOf(x);
  },
  group_norm({ groups }, [x, weight, bias]) {
    const channels = dimAt(ranked(x, 4, 'x').shape, 1);
    expect(
      typeof channels === 'number' && channels % groups === 0,
      () => `${formatShape([channels])} channels do not divide into ${groups} groups`,
    );
    expectVector(weight, channels, 'weight');
    expectVector(bias, channels, 'bias');
    return { dtype: sameDType(x, weight, bias), shape: typeOf(x).shape };
  },
  layer_norm({ axis }, [x, weight, bias]) {
    const size = dimAt(typeOf(x).shape, axis);
    expectVector(weight, size, 'weight');
    expectVector(bias, size, 'bias');
    return { dtype: sameDType(x, weight, bias), shape: typeOf(x).shape };
  },
  rms_norm({ axis }, [x]) {
    dimAt(typeOf(x).shape, axis);
    return typeOf(x);
  },
  normalize(_, [x, epsilon]) {
    const { shape } = typeOf(x);
    expectAxis(shape.length - 1, shape);
    expectNumber(epsilon, 'epsilon');
    return { dtype: sameDType(x, epsilon), shape };
  },
  reduce_max({ axis }, [x]) {
    const { dtype, shape } = typeOf(x);
    expectAxis(axis, shape);
    return { dtype, shape: shape.map((dim, at) => (at === axis ? 1 : dim)) };
  },
  reshape({ shape }, [x]) {
    const { dtype, shape: from } = typeOf(x);
    expect(
      shape.every((dim) => typeof dim !== 'number' || Number.isInteger(dim)),
      () => `${formatShape(shape)} has a fraction as a size`,
    );
    expect(
      sameDim(multiplyDims(from), multiplyDims(shape)),
      () => `${formatShape(from)} does not hold as many elements as ${formatShape(shape)}`,
    );
    return { dtype, shape };
  },
  reshape_like(_, [x, like]) {
    const { dtype, shape: from } = typeOf(x);
    const { shape } = typeOf(like);
    expect(
      sameDim(multiplyDims(from), multiplyDims(shape)),
      () => `${formatShape(from)} does not hold as many elements as ${formatShape(shape)}`,
    );
    return { dtype, shape };
  },
  transpose({ perm }, [x]) {
    const { dtype, shape } = ranked(x, perm.length, 'x');
    expect(new Set(perm).size === perm.length, () => `[${perm}] is not a permutation`);
    return { dtype, shape: perm.map((axis) => dimAt(shape, axis)) };
  },
  concat({ axis }, inputs) {
    const shapes = inputs.map(({ shape }) => shape);
    const [first = []] = shapes;
    expect(axis >= 0, () => `axis ${axis} is not counted from the front`);
    for (const shape of shapes) {
      expect(
        shape.length === first.length &&
          shape.every((dim, at) => at === axis || sameDim(dim, dimAt(first, at))),
        () => `${shapes.map(formatShape).join(' and ')} differ outside axis ${axis}`,
      );
    }
    const total = addDims(shapes.map((shape) => dimAt(shape, axis)));
    return { dtype: sameDType(...inputs), shape: first.map((dim, at) => (at === axis ? total : dim)) };
  },
  slice({ axis, start, end }, [x]) {
    const { dtype, shape } = typeOf(x);
    const size = dimAt(shape, axis);
    expect(axis >= 0, () => `axis ${axis} is not counted from the front`);
    const where = (): string =>
      `${formatDim(start)}…${formatDim(end)} of axis ${axis} of ${formatShape(shape)}`;
    const whole = [start, end].every((bound) => typeof bound !== 'number' || Number.isInteger(bound));
    expect(
      whole && leastOf(start) >= 0 && leastOf(subtractDims(size, end)) >= 0,
      () => `${where()} is not inside it`,
    );
    const length = subtractDims(end, start);
    expect(leastOf(length) > 0, () => `${where()} holds nothing`);
    for (const bound of [start, end]) {
      expect(
        typeof bound === 'number' || typeof subtractDims(size, bound) === 'number',
        () => `${where()} is a fixed number of elements away from neither end`,
      );
    }
    return { dtype, shape: shape.map((dim, at) => (at === axis ? length : dim)) };
  },
  pad({ axis, before, after }, [x, value]) {
    const { shape } = typeOf(x);
    expectAxis(axis, shape);
    expect(
      [before, after].every((count) => Number.isInteger(count) && count >= 0),
      () => `${before} and ${after} are not numbers of elements`,
    );
    expectNumber(value, 'value');
    return {
      dtype: sameDType(x, value),
      shape: shape.map((dim, at) => (at === axis ? addDims([before, dim, after]) : dim)),
    };
  },
  cast: ({ to }, [x]) => ({ dtype: to, shape: typeOf(x).shape }),
  upsample_nearest({ scale }, [x]) {
    const { dtype, shape } = ranked(x, 4, 'x');
    const [batch, channels, height, width] = fourOf(shape);
    return { dtype, shape: [batch, channels, multiplyDims([height, scale]), multiplyDims([width, scale])] };
  },
  embedding(_, [table, indices]) {
    const { dtype, shape } = ranked(table, 2, 'table');
    expect(!isFloat(typeOf(indices).dtype), () => 'the indices are not integers');
    return { dtype, shape: [...typeOf(indices).shape, dimAt(shape, 1)] };
  },
  argmax: (_, [x]) => ({ dtype: 'i64', shape: [dimAt(ranked(x, 2, 'x').shape, 0), 1] }),
  gather_nd(_, [x, index]) {
    const { dtype, shape } = ranked(x, 3, 'x');
    const batch = dimAt(shape, 0);
    expect(
      sameShape(typeOf(index).shape, [batch, 1]),
      () => `the index ${formatShape(typeOf(index).shape)} is not ${formatShape([batch, 1])}`,
    );
    return { dtype, shape: [batch, dimAt(shape, 2)] };
  },
};

/**
 * The type of an operation's result. Throws `ShapeError`, with `where` (the tensor's name) and every input's shape,
 * when the inputs do not fit together.
 */
export function inferType(op: ComputedOp, inputs: readonly Tensor[], where: string): TensorType {
  // Each rule takes its own kind of operation; indexing by `op.kind` pairs them, which the compiler cannot follow.
  const rule = rules[op.kind] as (op: ComputedOp, inputs: readonly TensorType[]) => TensorType;
  try {
    return rule(op, inputs);
  } catch (error) {
    if (!(error instanceof Misfit) && !(error instanceof RangeError)) throw error;
    throw new ShapeError({
      problem: `the shapes do not fit at ${where}: ${error.message}.`,
      details: { operation: op.kind, inputs: inputs.map(describeInput).join(', '), ...fileOf(inputs) },
      advice: 'The config and the weights disagree, or the requested size is one the network cannot take.',
    });
  }
}

function describeInput({ op, name, dtype, shape }: Tensor): string {
  return `${op.kind === 'weight' ? name : dtype} ${formatShape(shape)}`;
}

/** The file that the weights among the inputs come from. */
function fileOf(inputs: readonly Tensor[]): { file: string } | object {
  for (const { op } of inputs) if (op.kind === 'weight') return { file: op.weight.file };
  return {};
}

function elementwise(_: object, [a, b]: readonly TensorType[]): TensorType {
  return { dtype: sameDType(a, b), shape: broadcast(typeOf(a).shape, typeOf(b).shape) };
}

function comparison(_: object, [a, b]: readonly TensorType[]): TensorType {
  sameDType(a, b);
  return { dtype: 'bool', shape: broadcast(typeOf(a).shape, typeOf(b).shape) };
}

function unary(_: object, [x]: readonly TensorType[]): TensorType {
  return typeOf(x);
}

function swapped(shape: Shape, transpose: boolean): Shape {
  return transpose ? [...shape.slice(0, -2), dimAt(shape, -1), dimAt(shape, -2)] : shape;
}

function windowed(size: Dim, kernel: Dim, stride: number, padding: number): Dim {
  const result = typeof kernel === 'number' ? windowDim(size, kernel, stride, padding) : undefined;
  if (result === undefined)
    throw new Misfit(
      `a window of ${formatShape([kernel])} with stride ${stride} does not fit ${formatShape([size])}`,
    );
  return result;
}

function twoOf(shape: Shape): [Dim, Dim] {
  return [dimAt(shape, 0), dimAt(shape, 1)];
}

function fourOf(shape: Shape): [Dim, Dim, Dim, Dim] {
  return [dimAt(shape, 0), dimAt(shape, 1), dimAt(shape, 2), dimAt(shape, 3)];
}

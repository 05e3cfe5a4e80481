import { describe, expect, test } from 'vitest';
import { ShapeError } from '../../src/errors.ts';
import { addDims, type Dim, divideDim, multiplyDims, symbol } from '../../src/graph/dim.ts';
import { GraphBuilder } from '../../src/graph/graph.ts';
import type { ComputedOp } from '../../src/graph/op.ts';
import { formatShape, type Shape } from '../../src/graph/shape.ts';
import type { TensorType } from '../../src/graph/tensor.ts';
import { verifyGraph } from '../../src/graph/verify.ts';
import type { DType } from '../../src/weights/dtype.ts';
import { unreadWeight } from '../support/memory-weight.ts';
import { everyCase, graphOfCase, resultOfCase } from '../support/op-cases/every-case.ts';
import { thrownBy } from '../support/thrown-by.ts';

const [batch, height, width] = [symbol('batch'), symbol('height'), symbol('width')];
/** 333 text tokens, and a picture token for each two by two pixels. */
const joint = addDims([333, divideDim(multiplyDims([height, width]), 4)]);
const pads = { top: 1, left: 1, bottom: 1, right: 1 };
const noPads = { top: 0, left: 0, bottom: 0, right: 0 };

describe('the type of a result', () => {
  test.each(everyCase)('$name: $type', (each) => {
    const { dtype, shape } = resultOfCase(each);
    expect(`${dtype} ${formatShape(shape)}`).toBe(each.type);
    verifyGraph(graphOfCase(each));
  });
});

describe('free sizes stay free', () => {
  test.each<[string, ComputedOp, Shape[], Shape]>([
    [
      'a convolution with stride 2 halves them',
      { kind: 'conv2d', stride: 2, pads },
      [
        [batch, 4, height, width],
        [8, 4, 3, 3],
      ],
      [batch, 8, half(height), half(width)],
    ],
    [
      'a convolution that pads as much as it takes keeps them',
      { kind: 'conv2d', stride: 1, pads },
      [
        [batch, 4, height, 6],
        [8, 4, 3, 3],
      ],
      [batch, 8, height, 6],
    ],
    [
      'the VAE encoder’s downsampler, padded below and to the right only, halves them',
      { kind: 'conv2d', stride: 2, pads: { ...noPads, bottom: 1, right: 1 } },
      [
        [batch, 4, height, width],
        [8, 4, 3, 3],
      ],
      [batch, 8, half(height), half(width)],
    ],
    [
      'halved and doubled again they are the same',
      { kind: 'upsample_nearest', scale: 2 },
      [[batch, 4, half(height), half(width)]],
      [batch, 4, height, width],
    ],
    [
      'pixels are flattened to tokens',
      { kind: 'reshape', shape: [batch, 4, 1, divideDim(multiplyDims([height, width]), 4)] },
      [[batch, 4, half(height), half(width)]],
      [batch, 4, 1, divideDim(multiplyDims([height, width]), 4)],
    ],
    [
      'a matrix product keeps those outside the sum',
      { kind: 'matmul', transposeA: true, transposeB: false },
      [
        [batch, 8, 5, height],
        [batch, 8, 5, width],
      ],
      [batch, 8, height, width],
    ],
    [
      'a row is put before each of them',
      { kind: 'pad', axis: 1, before: 1, after: 0 },
      [[batch, 256, 8], []],
      [batch, 257, 8],
    ],
    [
      'text tokens are put before picture tokens',
      { kind: 'concat', axis: 1 },
      [
        [batch, 333, 8],
        [batch, divideDim(multiplyDims([height, width]), 4), 8],
      ],
      [batch, joint, 8],
    ],
    [
      'the text tokens are taken out again',
      { kind: 'slice', axis: 1, start: 0, end: 333 },
      [[batch, joint, 8]],
      [batch, 333, 8],
    ],
    [
      'the picture tokens are what is left',
      { kind: 'slice', axis: 1, start: 333, end: joint },
      [[batch, joint, 8]],
      [batch, divideDim(multiplyDims([height, width]), 4), 8],
    ],
    [
      'all tokens look at all',
      { kind: 'matmul', transposeA: true, transposeB: false },
      [
        [batch, 2, 8, joint],
        [batch, 2, 8, joint],
      ],
      [batch, 2, joint, joint],
    ],
    [
      'heads of tokens are joined',
      { kind: 'reshape', shape: [batch, 16, 1, joint] },
      [[batch, 2, 8, joint]],
      [batch, 16, 1, joint],
    ],
    [
      'a row is put below a picture',
      { kind: 'pad', axis: 2, before: 0, after: 1 },
      [[batch, 4, height, width], []],
      [batch, 4, addDims([height, 1]), width],
    ],
    ['the largest of each row is found', { kind: 'reduce_max', axis: 1 }, [[batch, 17]], [batch, 1]],
    [
      'one element broadcasts to them',
      { kind: 'add' },
      [
        [1, 4, 1, 1],
        [batch, 4, height, width],
      ],
      [batch, 4, height, width],
    ],
  ])('%s', (_, op, shapes, expected) => {
    expect(formatShape(applied(op, shapes.map(f32)).shape)).toBe(formatShape(expected));
  });
});

describe('what does not fit is refused with its place, and with what it is', () => {
  test.each<[problem: string, op: ComputedOp, inputs: readonly TensorType[]]>([
    [
      'x [4, 8, 8] is not of rank 4',
      { kind: 'conv2d', stride: 1, pads },
      [f32([4, 8, 8]), f32([8, 4, 3, 3])],
    ],
    [
      'the weight [8, 4, 3, 3] reads another number of channels than x [1, 3, 8, 8] has',
      { kind: 'conv2d', stride: 1, pads },
      [f32([1, 3, 8, 8]), f32([8, 4, 3, 3])],
    ],
    [
      'the bias [4] is not [8]',
      { kind: 'conv2d', stride: 1, pads },
      [f32([1, 4, 8, 8]), f32([8, 4, 3, 3]), f32([4])],
    ],
    [
      'a window of [3] with stride 1 does not fit [2]',
      { kind: 'conv2d', stride: 1, pads: noPads },
      [f32([1, 4, 2, 2]), f32([8, 4, 3, 3])],
    ],
    [
      'f32 and f16 are not one dtype',
      { kind: 'conv2d', stride: 1, pads },
      [f32([1, 4, 8, 8]), typed('f16', [8, 4, 3, 3])],
    ],
    [
      'the weight [3, 5] reads another width than x [2, 4] has',
      { kind: 'linear' },
      [f32([2, 4]), f32([3, 5])],
    ],
    ['the bias [4] is not [3]', { kind: 'linear' }, [f32([2, 5]), f32([3, 5]), f32([4])]],
    [
      'f16 and f32 and f32 are not one dtype',
      { kind: 'linear' },
      [typed('f16', [2, 5]), f32([3, 5]), f32([3])],
    ],
    [
      '[2, 3, 4] cannot be multiplied by [2, 5, 6]',
      { kind: 'matmul', transposeA: false, transposeB: false },
      [f32([2, 3, 4]), f32([2, 5, 6])],
    ],
    [
      '[2] and [3] do not broadcast',
      { kind: 'matmul', transposeA: false, transposeB: false },
      [f32([2, 3, 4]), f32([3, 4, 6])],
    ],
    ['axis -2 of [4]', { kind: 'matmul', transposeA: true, transposeB: false }, [f32([4]), f32([4])]],
    [
      "bkhc,bchq->bkhq: 'c' is both [4] and [5]",
      { kind: 'einsum', equation: 'bkhc,bchq->bkhq' },
      [f32([2, 3, 1, 4]), f32([2, 5, 1, 6])],
    ],
    [
      'operand 2 [5, 6] is not of rank 4',
      { kind: 'einsum', equation: 'bkhc,bchq->bkhq' },
      [f32([2, 3, 1, 4]), f32([5, 6])],
    ],
    [
      "ab,bc->ad: nothing gives 'd' a size",
      { kind: 'einsum', equation: 'ab,bc->ad' },
      [f32([2, 3]), f32([3, 4])],
    ],
    ['[2, 3] and [2, 4] do not broadcast', { kind: 'add' }, [f32([2, 3]), f32([2, 4])]],
    ['[height] and [width] do not broadcast', { kind: 'mul' }, [f32([height]), f32([width])]],
    ['[height] and [8] do not broadcast', { kind: 'mul' }, [f32([height]), f32([8])]],
    ['f32 and f16 are not one dtype', { kind: 'add' }, [f32([2]), typed('f16', [2])]],
    ['f32 and i32 are not one dtype', { kind: 'equal' }, [f32([2]), typed('i32', [2])]],
    ['an input is missing', { kind: 'silu' }, []],
    ['axis 3 of [2, 3]', { kind: 'softmax', axis: 3 }, [f32([2, 3])]],
    [
      '[30] channels do not divide into 32 groups',
      { kind: 'group_norm', groups: 32, epsilon: 1e-5 },
      [f32([1, 30, 8, 8]), f32([30]), f32([30])],
    ],
    [
      'the weight [64] is not [32]',
      { kind: 'group_norm', groups: 32, epsilon: 1e-5 },
      [f32([1, 32, 8, 8]), f32([64]), f32([32])],
    ],
    [
      'the bias [5] is not [4]',
      { kind: 'layer_norm', axis: -1, epsilon: 1e-5 },
      [f32([2, 4]), f32([4]), f32([5])],
    ],
    ['[] has no axis -1', { kind: 'normalize' }, [f32([]), f32([])]],
    ['the epsilon [1] is not a single number', { kind: 'normalize' }, [f32([2, 4]), f32([1])]],
    ['f32 and f16 are not one dtype', { kind: 'normalize' }, [f32([2, 4]), typed('f16', [])]],
    ['[2, 4] has no axis -1', { kind: 'reduce_max', axis: -1 }, [f32([2, 4])]],
    ['f32 and f16 are not one dtype', { kind: 'greater' }, [f32([2]), typed('f16', [])]],
    ['axis 4 of [2, 4]', { kind: 'layer_norm', axis: 4, epsilon: 1e-5 }, [f32([2, 4]), f32([4]), f32([4])]],
    [
      'f16 and f32 and f32 are not one dtype',
      { kind: 'layer_norm', axis: 1, epsilon: 1e-5 },
      [typed('f16', [2, 4]), f32([4]), f32([4])],
    ],
    ['[2, 3] does not hold as many elements as [7]', { kind: 'reshape', shape: [7] }, [f32([2, 3])]],
    [
      '[batch, height] does not hold as many elements as [batch, width]',
      { kind: 'reshape', shape: [batch, width] },
      [f32([batch, height])],
    ],
    ['[4, 2.5] has a fraction as a size', { kind: 'reshape', shape: [4, 2.5] }, [f32([10])]],
    ['[2, 3] does not hold as many elements as [7]', { kind: 'reshape_like' }, [f32([2, 3]), f32([7])]],
    ['x [2, 3] is not of rank 3', { kind: 'transpose', perm: [0, 2, 1] }, [f32([2, 3])]],
    ['[0,0] is not a permutation', { kind: 'transpose', perm: [0, 0] }, [f32([2, 3])]],
    ['[2, 3] and [4, 3] differ outside axis 1', { kind: 'concat', axis: 1 }, [f32([2, 3]), f32([4, 3])]],
    ['axis -1 is not counted from the front', { kind: 'concat', axis: -1 }, [f32([2, 3]), f32([2, 3])]],
    ['2…9 of axis 1 of [2, 8] is not inside it', { kind: 'slice', axis: 1, start: 2, end: 9 }, [f32([2, 8])]],
    ['2…2 of axis 1 of [2, 8] holds nothing', { kind: 'slice', axis: 1, start: 2, end: 2 }, [f32([2, 8])]],
    [
      '0…2.5 of axis 1 of [2, 8] is not inside it',
      { kind: 'slice', axis: 1, start: 0, end: 2.5 },
      [f32([2, 8])],
    ],
    [
      '0…2 of axis 1 of [2, height] is not inside it',
      { kind: 'slice', axis: 1, start: 0, end: 2 },
      [f32([2, height])],
    ],
    [
      '0…height + 1 of axis 1 of [2, height] is not inside it',
      { kind: 'slice', axis: 1, start: 0, end: addDims([height, 1]) },
      [f32([2, height])],
    ],
    [
      'height…height + width of axis 1 of [2, height + width] is a fixed number of elements away from neither end',
      { kind: 'slice', axis: 1, start: height, end: addDims([height, width]) },
      [f32([2, addDims([height, width])])],
    ],
    ['axis -1 is not counted from the front', { kind: 'slice', axis: -1, start: 0, end: 2 }, [f32([2, 8])]],
    ['[2, 8] has no axis -1', { kind: 'pad', axis: -1, before: 0, after: 1 }, [f32([2, 8]), f32([])]],
    [
      '-1 and 0.5 are not numbers of elements',
      { kind: 'pad', axis: 1, before: -1, after: 0.5 },
      [f32([2, 8]), f32([])],
    ],
    [
      'the value [2] is not a single number',
      { kind: 'pad', axis: 1, before: 0, after: 1 },
      [f32([2, 8]), f32([2])],
    ],
    ['x [2, 8] is not of rank 4', { kind: 'upsample_nearest', scale: 2 }, [f32([2, 8])]],
    ['the indices are not integers', { kind: 'embedding' }, [f32([9, 4]), f32([2])]],
    ['table [9] is not of rank 2', { kind: 'embedding' }, [f32([9]), typed('i32', [2])]],
    ['x [2, 3, 4] is not of rank 2', { kind: 'argmax' }, [f32([2, 3, 4])]],
    ['the index [2] is not [2, 1]', { kind: 'gather_nd' }, [f32([2, 3, 4]), typed('i64', [2])]],
  ])('%s', (problem, op, inputs) => {
    const error = thrownBy(() => applied(op, inputs, 'mid_block.here'));
    expect(error).toBeInstanceOf(ShapeError);
    expect(error.problem).toBe(`the shapes do not fit at mid_block.here: ${problem}.`);
    expect(error.details.operation).toBe(op.kind);
  });

  test('the weight that does not fit is named with its file', () => {
    const builder = new GraphBuilder();
    const x = builder.input('sample', f32([1, 3, 8, 8]));
    const weight = builder.weight(unreadWeight('conv_in.weight', [8, 4, 3, 3]), f32([8, 4, 3, 3]));
    const error = thrownBy(() => builder.apply({ kind: 'conv2d', stride: 1, pads }, [x, weight], 'conv_in'));
    expect(error.problem).toContain('at conv_in');
    expect(error.details).toMatchObject({
      inputs: 'f32 [1, 3, 8, 8], conv_in.weight [8, 4, 3, 3]',
      file: 'header.safetensors',
    });
  });
});

function f32(shape: Shape): TensorType {
  return typed('f32', shape);
}

function typed(dtype: DType, shape: Shape): TensorType {
  return { dtype, shape };
}

function half(dim: Dim): Dim {
  return divideDim(dim, 2);
}

function applied(op: ComputedOp, types: readonly TensorType[], name = 'here') {
  const builder = new GraphBuilder();
  return builder.apply(
    op,
    types.map((type, i) => builder.input(`x${i}`, type)),
    name,
  );
}

import { beforeAll, expect, test } from 'vitest';
import { computations } from '../../../../src/formats/coreml/to-onnx/onnx-computations.ts';
import { movements } from '../../../../src/formats/coreml/to-onnx/onnx-movements.ts';
import type { TensorMap } from '../../../../src/formats/runner.ts';
import { numbersOf } from '../../../../src/weights/tensor-values.ts';
import { scattered } from '../../../support/scattered.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { f32, i32, runProgram } from '../run-mil.ts';

/** One operation, its parameters as text, and the same computation as plain loops. */
interface Case {
  readonly operation: string;
  readonly parameters: string;
  /** Dtype and shape of each result. */
  readonly types: readonly string[];
  readonly expected: readonly (readonly number[])[];
}

// What the operations read. Axes are B,C,H,W for `image`, S,B,I for `sequence`.
const x = [-1.5, -0.25, 0.5, 1, 2, 3.25];
const p = [0.5, 1, 1.5, 2, 3, 4];
const i = [-7, 5, 2, 0, 3, 9];
const j = [2, 3, -4, 5, 2, 4];
const unit = [-0.9, -0.5, 0, 0.25, 0.5, 0.75];
const image = Array.from(scattered(1 * 4 * 3 * 3, 1));
const kernel = Array.from(scattered(2 * 4 * 2 * 2, 2));
const bias = [0.5, -1];
const rows = Array.from(scattered(2 * 3 * 4, 3));
const columns = Array.from(scattered(2 * 4 * 5, 4));
const channels = [0.5, -2, 1, 3];
const sequence = Array.from(scattered(3 * 1 * 2, 5));
const gates = Array.from(scattered(4 * 2 * 2, 6));
const recurrent = Array.from(scattered(4 * 2 * 2, 7));
const state = [0.1, -0.2];

const inputs = {
  x: f32([2, 3], x),
  p: f32([2, 3], p),
  i: i32([2, 3], i),
  j: i32([2, 3], j),
  unit: f32([2, 3], unit),
  image: f32([1, 4, 3, 3], image),
  kernel: f32([2, 4, 2, 2], kernel),
  bias: f32([2], bias),
  rows: f32([2, 3, 4], rows),
  columns: f32([2, 4, 5], columns),
  channels: f32([4], channels),
  sequence: f32([3, 1, 2], sequence),
  gates: f32([8, 2], gates),
  recurrent: f32([8, 2], recurrent),
  state: f32([1, 2], state),
  // A shape, and places, that are only known when the program runs.
  shape: i32([2], [3, 2]),
  from: i32([2], [0, 1]),
};

const variances = channels.map((value) => value * value);
const lstmKinds =
  'direction = string("forward"), recurrent_activation = string("sigmoid"), cell_activation = string("tanh"), activation = string("tanh")';
const lstmBias = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8];

const cases: readonly Case[] = [
  unary('abs', x, Math.abs),
  unary('acos', unit, Math.acos, 'unit'),
  unary('asin', unit, Math.asin, 'unit'),
  unary('atan', x, Math.atan),
  unary('ceil', x, Math.ceil),
  unary('cos', x, Math.cos),
  unary('cosh', x, Math.cosh),
  unary('erf', x, erf),
  unary('exp', x, Math.exp),
  unary('exp2', x, (v) => 2 ** v),
  unary('floor', x, Math.floor),
  unary('relu', x, (v) => Math.max(v, 0)),
  one('relu6', 'x = big', 'fp32 [2, 3]', [0, 0, 1, 5, 6, 6]),
  one('round', 'x = halves', 'fp32 [2, 3]', [-2, -2, 0, 0, 2, 2]),
  unary('sigmoid', x, sigmoid),
  unary('sign', x, Math.sign),
  unary('silu', x, (v) => v * sigmoid(v)),
  unary('sin', x, Math.sin),
  unary('sinh', x, Math.sinh),
  unary('softplus', x, (v) => Math.log1p(Math.exp(v))),
  unary('softsign', x, (v) => v / (1 + Math.abs(v))),
  unary('sqrt', p, Math.sqrt, 'p'),
  unary('square', x, (v) => v * v),
  unary('tan', x, Math.tan),
  unary('tanh', x, Math.tanh),
  unary('identity', x, (v) => v),
  one(
    'inverse',
    'x = p, epsilon = fp32(0.5)',
    'fp32 [2, 3]',
    p.map((v) => 1 / (v + 0.5)),
  ),
  one(
    'inverse',
    'x = p',
    'fp32 [2, 3]',
    p.map((v) => 1 / (v + 1e-4)),
  ),
  one(
    'log',
    'x = p, epsilon = fp32(0.5)',
    'fp32 [2, 3]',
    p.map((v) => Math.log(v + 0.5)),
  ),
  one(
    'rsqrt',
    'x = p, epsilon = fp32(0.5)',
    'fp32 [2, 3]',
    p.map((v) => 1 / Math.sqrt(v + 0.5)),
  ),
  one(
    'threshold',
    'x = x, alpha = fp32(0.75)',
    'fp32 [2, 3]',
    x.map((v) => Math.max(v, 0.75)),
  ),
  one(
    'clip',
    'x = x, alpha = fp32(-0.5), beta = fp32(2.5)',
    'fp32 [2, 3]',
    x.map((v) => Math.min(Math.max(v, -0.5), 2.5)),
  ),
  one(
    'leaky_relu',
    'x = x, alpha = fp32(0.3)',
    'fp32 [2, 3]',
    x.map((v) => (v >= 0 ? v : 0.3 * v)),
  ),
  one(
    'elu',
    'x = x, alpha = fp32(0.3)',
    'fp32 [2, 3]',
    x.map((v) => (v > 0 ? v : 0.3 * Math.expm1(v))),
  ),
  one(
    'prelu',
    'x = image, alpha = channels',
    'fp32 [1, 4, 3, 3]',
    image.map((v, at) => (v >= 0 ? v : v * channel(channels, at))),
  ),
  one(
    'gelu',
    'x = x, mode = string("EXACT")',
    'fp32 [2, 3]',
    x.map((v) => (v * (1 + erf(v / Math.SQRT2))) / 2),
  ),
  one(
    'gelu',
    'x = x, mode = string("TANH_APPROXIMATION")',
    'fp32 [2, 3]',
    x.map((v) => (v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)))) / 2),
  ),
  one(
    'gelu',
    'x = x, mode = string("SIGMOID_APPROXIMATION")',
    'fp32 [2, 3]',
    x.map((v) => v * sigmoid(1.702 * v)),
  ),

  binary('add', (a, b) => a + b),
  binary('sub', (a, b) => a - b),
  binary('mul', (a, b) => a * b),
  binary('real_div', (a, b) => a / b),
  binary('maximum', Math.max),
  binary('minimum', Math.min),
  binary('floor_div', (a, b) => Math.floor(a / b)),
  binary('mod', (a, b) => a - Math.floor(a / b) * b),
  one(
    'pow',
    'x = p, y = x',
    'fp32 [2, 3]',
    p.map((v, at) => v ** (x[at] ?? 0)),
  ),
  whole('add', (a, b) => a + b),
  whole('floor_div', (a, b) => Math.floor(a / b)),
  whole('mod', (a, b) => a - Math.floor(a / b) * b),
  comparison('equal', (a, b) => a === b),
  comparison('not_equal', (a, b) => a !== b),
  comparison('greater', (a, b) => a > b),
  comparison('greater_equal', (a, b) => a >= b),
  comparison('less', (a, b) => a < b),
  comparison('less_equal', (a, b) => a <= b),
  one(
    'logical_not',
    'x = truths',
    'bool [2, 3]',
    i.map((v) => Number(!(v > 2))),
  ),
  one(
    'logical_and',
    'x = truths, y = others',
    'bool [2, 3]',
    i.map((v, at) => Number(v > 2 && (j[at] ?? 0) > 2)),
  ),
  one(
    'logical_or',
    'x = truths, y = others',
    'bool [2, 3]',
    i.map((v, at) => Number(v > 2 || (j[at] ?? 0) > 2)),
  ),
  one(
    'logical_xor',
    'x = truths, y = others',
    'bool [2, 3]',
    i.map((v, at) => Number(v > 2 !== (j[at] ?? 0) > 2)),
  ),

  one('cast', 'x = x, dtype = string("int32")', 'int32 [2, 3]', x.map(Math.trunc)),
  one('cast', 'x = i, dtype = string("fp32")', 'fp32 [2, 3]', i),
  one(
    'cast',
    'x = i, dtype = string("bool")',
    'bool [2, 3]',
    i.map((v) => Number(v !== 0)),
  ),
  one(
    'cast',
    'x = i, dtype = string("uint16")',
    'uint16 [2, 3]',
    i.map((v) => v & 0xffff),
  ),
  one(
    'cast',
    'x = i, dtype = string("uint8")',
    'uint8 [2, 3]',
    i.map((v) => v & 0xff),
  ),

  reduction('reduce_sum', (row) => sum(row)),
  reduction('reduce_mean', (row) => sum(row) / row.length),
  reduction('reduce_max', (row) => Math.max(...row)),
  reduction('reduce_min', (row) => Math.min(...row)),
  reduction('reduce_prod', (row) => row.reduce((a, b) => a * b)),
  reduction('reduce_l1_norm', (row) => sum(row.map(Math.abs))),
  reduction('reduce_l2_norm', (row) => Math.hypot(...row)),
  reduction('reduce_sum_square', (row) => sum(row.map((v) => v * v))),
  reduction('reduce_log_sum', (row) => Math.log(sum(row)), 'p', p),
  reduction('reduce_log_sum_exp', (row) => Math.log(sum(row.map(Math.exp)))),
  one('reduce_sum', 'x = x, keep_dims = bool(false)', 'fp32 []', [sum(x)]),
  one(
    'reduce_sum',
    'x = i, axes = tensor<int32, [1]>([0]), keep_dims = bool(true)',
    'int32 [1, 3]',
    [-7, 8, 11],
  ),
  one('reduce_argmax', 'x = i, axis = int32(1), keep_dims = bool(true)', 'int32 [2, 1]', [1, 2]),
  one('reduce_argmin', 'x = x, axis = int32(-1), keep_dims = bool(false)', 'int32 [2]', [0, 0]),
  one(
    'cumsum',
    'x = x, axis = int32(1), exclusive = bool(true), reverse = bool(false)',
    'fp32 [2, 3]',
    [0, -1.5, -1.75, 0, 1, 3],
  ),

  one(
    'softmax',
    'x = rows, axis = int32(1)',
    'fp32 [2, 3, 4]',
    alongMiddle((v) => v.map((e) => Math.exp(e) / sum(v.map(Math.exp)))),
  ),
  one(
    'matmul',
    'x = rows, y = columns, transpose_x = bool(false), transpose_y = bool(false)',
    'fp32 [2, 3, 5]',
    product(),
  ),
  one(
    'matmul',
    'x = turned, y = upright, transpose_x = bool(true), transpose_y = bool(true)',
    'fp32 [2, 3, 5]',
    product(),
  ),
  one(
    'linear',
    'x = rows, weight = flat, bias = tensor<fp32, [2]>([0.5, -1])',
    'fp32 [2, 3, 2]',
    linear(bias),
  ),
  one('linear', 'x = rows, weight = flat', 'fp32 [2, 3, 2]', linear([0, 0])),
  one('einsum', 'values = (rows, columns), equation = string("bik,bkj->bij")', 'fp32 [2, 3, 5]', product()),
  one(
    'scaled_dot_product_attention',
    'query = rows, key = rows, value = rows',
    'fp32 [2, 3, 4]',
    attention(() => 0),
  ),
  one(
    'scaled_dot_product_attention',
    'query = rows, key = rows, value = rows, attn_mask = tensor<bool, [3, 3]>([[true, false, false], [true, true, false], [true, true, true]])',
    'fp32 [2, 3, 4]',
    attention((q, k) => (k > q ? Number.NEGATIVE_INFINITY : 0)),
  ),
  one(
    'scaled_dot_product_attention',
    'query = rows, key = rows, value = rows, attn_mask = tensor<fp32, [1, 3]>([[0.5, 0, -1]])',
    'fp32 [2, 3, 4]',
    attention((_, k) => [0.5, 0, -1][k] ?? 0),
  ),
  one(
    'conv',
    'x = image, weight = kernel, bias = bias, strides = tensor<int32, [2]>([1, 2]), pad_type = string("custom"), pad = tensor<int32, [4]>([1, 0, 0, 2]), dilations = tensor<int32, [2]>([1, 1]), groups = int32(1)',
    'fp32 [1, 2, 3, 2]',
    conv({ stride: [1, 2], dilation: [1, 1], before: [1, 0], size: [3, 2], bias }),
  ),
  one(
    'conv',
    'x = image, weight = kernel, strides = tensor<int32, [2]>([2, 2]), pad_type = string("same"), pad = tensor<int32, [4]>([0, 0, 0, 0]), dilations = tensor<int32, [2]>([1, 1]), groups = int32(1)',
    'fp32 [1, 2, 2, 2]',
    conv({ stride: [2, 2], dilation: [1, 1], before: [0, 0], size: [2, 2], bias: [0, 0] }),
  ),
  one(
    'conv',
    'x = image, weight = kernel, strides = tensor<int32, [2]>([1, 1]), pad_type = string("same_lower"), dilations = tensor<int32, [2]>([1, 2]), groups = int32(1)',
    'fp32 [1, 2, 3, 3]',
    conv({ stride: [1, 1], dilation: [1, 2], before: [1, 1], size: [3, 3], bias: [0, 0] }),
  ),
  one(
    'conv',
    'x = image, weight = kernel, pad_type = string("valid")',
    'fp32 [1, 2, 2, 2]',
    conv({ stride: [1, 1], dilation: [1, 1], before: [0, 0], size: [2, 2], bias: [0, 0] }),
  ),
  one(
    'layer_norm',
    'x = image, axes = tensor<int32, [1]>([1]), gamma = channels, beta = channels, epsilon = fp32(0.1)',
    'fp32 [1, 4, 3, 3]',
    normalised((at) => at % 9, 0.1, channels),
  ),
  one(
    'layer_norm',
    'x = image, axes = tensor<int32, [2]>([-1, 2]), epsilon = fp32(0.1)',
    'fp32 [1, 4, 3, 3]',
    normalised((at) => Math.floor(at / 9), 0.1),
  ),
  one(
    'instance_norm',
    'x = image, gamma = channels, beta = channels, epsilon = fp32(0.1)',
    'fp32 [1, 4, 3, 3]',
    normalised((at) => Math.floor(at / 9), 0.1, channels),
  ),
  one(
    'instance_norm',
    'x = image',
    'fp32 [1, 4, 3, 3]',
    normalised((at) => Math.floor(at / 9), 1e-5),
  ),
  one(
    'batch_norm',
    'x = image, mean = channels, variance = variances, gamma = channels, beta = variances, epsilon = fp32(0.1)',
    'fp32 [1, 4, 3, 3]',
    image.map(
      (v, at) =>
        ((v - channel(channels, at)) / Math.sqrt(channel(variances, at) + 0.1)) * channel(channels, at) +
        channel(variances, at),
    ),
  ),
  one(
    'batch_norm',
    'x = image, mean = channels, variance = variances',
    'fp32 [1, 4, 3, 3]',
    image.map((v, at) => (v - channel(channels, at)) / Math.sqrt(channel(variances, at) + 1e-5)),
  ),
  one(
    'l2_norm',
    'x = image, epsilon = fp32(0.1)',
    'fp32 [1, 4, 3, 3]',
    image.map((v) => v / Math.sqrt(sum(image.map((e) => e * e)) + 0.1)),
  ),
  one('range_1d', 'start = fp32(1), end = fp32(2.2), step = fp32(0.5)', 'fp32 [3]', [1, 1.5, 2]),
  one(
    'scatter_nd',
    'data = x, indices = tensor<int32, [2, 1]>([[1], [1]]), updates = p, mode = string("add")',
    'fp32 [2, 3]',
    [-1.5, -0.25, 0.5, 1 + 0.5 + 2, 2 + 1 + 3, 3.25 + 1.5 + 4],
  ),
  one(
    'scatter_nd',
    'data = x, indices = tensor<int32, [2, 2]>([[0, 1], [1, 2]]), updates = bias, mode = string("update")',
    'fp32 [2, 3]',
    [-1.5, 0.5, 0.5, 1, 2, -1],
  ),

  one(
    'scatter_nd',
    'data = x, indices = nowhere, updates = nothing, mode = string("update")',
    'fp32 [2, 3]',
    x,
  ),

  one('reshape', 'x = x, shape = tensor<int32, [2]>([3, -1])', 'fp32 [3, 2]', x),
  one('reshape', 'x = x, shape = tensor<int32, [2]>([0, 3])', 'fp32 [2, 3]', x),
  one('reshape', 'x = x, shape = shape', 'fp32 [3, 2]', x),
  one(
    'transpose',
    'x = x, perm = tensor<int32, [2]>([-1, 0])',
    'fp32 [3, 2]',
    [-1.5, 1, -0.25, 2, 0.5, 3.25],
  ),
  one('expand_dims', 'x = x, axes = tensor<int32, [2]>([0, -1])', 'fp32 [1, 2, 3, 1]', x),
  one('squeeze', 'x = image, axes = tensor<int32, [1]>([0])', 'fp32 [4, 3, 3]', image),
  one('squeeze', 'x = state', 'fp32 [2]', state),
  several(
    'split',
    'x = x, axis = int32(-1), split_sizes = tensor<int32, [2]>([2, 1])',
    ['fp32 [2, 2]', 'fp32 [2, 1]'],
    [
      [-1.5, -0.25, 1, 2],
      [0.5, 3.25],
    ],
  ),
  several(
    'split',
    'x = x, axis = int32(0), num_splits = int32(2)',
    ['fp32 [1, 3]', 'fp32 [1, 3]'],
    [x.slice(0, 3), x.slice(3)],
  ),
  one('concat', 'values = (x, p), axis = int32(0), interleave = bool(false)', 'fp32 [4, 3]', [...x, ...p]),
  one(
    'stack',
    'values = (x, p), axis = int32(-1)',
    'fp32 [2, 3, 2]',
    x.flatMap((v, at) => [v, p[at] ?? 0]),
  ),
  one(
    'tile',
    'x = x, reps = tensor<int32, [2]>([1, 2])',
    'fp32 [2, 6]',
    [-1.5, -0.25, 0.5, -1.5, -0.25, 0.5, 1, 2, 3.25, 1, 2, 3.25],
  ),
  one('reverse', 'x = x, axes = tensor<int32, [1]>([1])', 'fp32 [2, 3]', [0.5, -0.25, -1.5, 3.25, 2, 1]),
  one('reverse', 'x = x', 'fp32 [2, 3]', x.toReversed()),
  one(
    'pad',
    'x = x, pad = tensor<int32, [2]>([1, 2]), mode = string("constant"), constant_val = fp32(7)',
    'fp32 [2, 6]',
    [7, -1.5, -0.25, 0.5, 7, 7, 7, 1, 2, 3.25, 7, 7],
  ),
  one(
    'pad',
    'x = x, pad = tensor<int32, [2]>([1, 2]), mode = string("reflect"), constant_val = fp32(0)',
    'fp32 [2, 6]',
    [-0.25, -1.5, -0.25, 0.5, -0.25, -1.5, 2, 1, 2, 3.25, 2, 1],
  ),
  one(
    'pad',
    'x = x, pad = tensor<int32, [4]>([0, 1, 0, 0]), mode = string("replicate"), constant_val = fp32(0)',
    'fp32 [3, 3]',
    [...x, 1, 2, 3.25],
  ),
  one(
    'slice_by_index',
    'x = x, begin = tensor<int32, [2]>([0, -2]), end = tensor<int32, [2]>([2, 3])',
    'fp32 [2, 2]',
    [-0.25, 0.5, 2, 3.25],
  ),
  one(
    'slice_by_index',
    'x = x, begin = tensor<int32, [2]>([1, 0]), end = tensor<int32, [2]>([0, 0]), stride = tensor<int32, [2]>([1, -2]), begin_mask = tensor<bool, [2]>([false, true]), end_mask = tensor<bool, [2]>([true, true])',
    'fp32 [1, 2]',
    [3.25, 1],
  ),
  one(
    'slice_by_index',
    'x = x, begin = tensor<int32, [2]>([-1, 1]), end = tensor<int32, [2]>([0, 3]), squeeze_mask = tensor<bool, [2]>([true, false])',
    'fp32 [2]',
    [2, 3.25],
  ),
  one(
    'slice_by_index',
    'x = x, begin = from, end = shape, begin_mask = tensor<bool, [2]>([true, false]), end_mask = tensor<bool, [2]>([false, true])',
    'fp32 [2, 2]',
    [-0.25, 0.5, 2, 3.25],
  ),
  one(
    'slice_by_size',
    'x = x, begin = tensor<int32, [2]>([-1, 1]), size = tensor<int32, [2]>([1, -1])',
    'fp32 [1, 2]',
    [2, 3.25],
  ),
  one(
    'gather',
    'x = x, indices = tensor<int32, [2]>([2, -3]), axis = int32(1), batch_dims = int32(0), validate_indices = bool(false)',
    'fp32 [2, 2]',
    [0.5, -1.5, 3.25, 1],
  ),
  one(
    'gather_along_axis',
    'x = x, indices = tensor<int32, [2, 1]>([[2], [0]]), axis = int32(1), validate_indices = bool(false)',
    'fp32 [2, 1]',
    [0.5, 1],
  ),
  one(
    'gather_nd',
    'x = x, indices = tensor<int32, [2, 2]>([[0, 2], [1, 0]]), batch_dims = int32(0), validate_indices = bool(false)',
    'fp32 [2]',
    [0.5, 1],
  ),
  one(
    'gather_nd',
    'x = x, indices = tensor<int32, [2, 1]>([[2], [0]]), batch_dims = int32(1), validate_indices = bool(false)',
    'fp32 [2]',
    [0.5, 1],
  ),
  one(
    'select',
    'cond = truths, a = x, b = p',
    'fp32 [2, 3]',
    i.map((v, at) => (v > 2 ? x : p)[at] ?? 0),
  ),
  one(
    'select',
    'cond = truths, a = others, b = truths',
    'bool [2, 3]',
    i.map((v, at) => Number(v > 2 && (j[at] ?? 0) > 2)),
  ),
  one('fill', 'shape = tensor<int32, [2]>([1, 2]), value = fp32(7)', 'fp32 [1, 2]', [7, 7]),
  one('fill_like', 'ref_tensor = bias, value = int32(7)', 'int32 [2]', [7, 7]),
  one('shape', 'x = image', 'int32 [4]', [1, 4, 3, 3]),
  one('non_zero', 'x = i', 'int32 [?, 2]', [0, 0, 0, 1, 0, 2, 1, 1, 1, 2]),
  one(
    'upsample_nearest_neighbor',
    'x = image, scale_factor_height = fp32(2), scale_factor_width = fp32(3)',
    'fp32 [1, 4, 6, 9]',
    upsampled(2, 3),
  ),
  one('pixel_shuffle', 'x = deep, upscale_factor = int32(2)', 'fp32 [1, 2, 2, 2]', [0, 1, 2, 3, 4, 5, 6, 7]),
  one('depth_to_space', 'x = deep, block_size = int32(2)', 'fp32 [1, 2, 2, 2]', [0, 2, 4, 6, 1, 3, 5, 7]),
  one(
    'space_to_depth',
    'x = flat_deep, block_size = int32(2)',
    'fp32 [1, 8, 1, 1]',
    [0, 4, 1, 5, 2, 6, 3, 7],
  ),

  several(
    'lstm',
    `x = sequence, initial_h = state, initial_c = state, weight_ih = gates, weight_hh = recurrent, bias = tensor<fp32, [8]>([${lstmBias.join(', ')}]), ${lstmKinds}, output_sequence = bool(true)`,
    ['fp32 [3, 1, 2]', 'fp32 [1, 2]', 'fp32 [1, 2]'],
    lstm(lstmBias),
  ),
  several(
    'lstm',
    `x = sequence, initial_h = state, initial_c = state, weight_ih = gates, weight_hh = recurrent, ${lstmKinds}, output_sequence = bool(false)`,
    ['fp32 [1, 1, 2]', 'fp32 [1, 2]', 'fp32 [1, 2]'],
    lstm(Array(8).fill(0)).map((values, part) => (part === 0 ? values.slice(-2) : values)),
  ),
];

const at = temporaryFolder();
let results: TensorMap = new Map();

/** All cases are one program, so that onnxruntime is loaded once. */
beforeAll(async () => {
  const prepared = `
    tensor<bool, [2, 3]> truths = greater(x = i, y = int32(2));
    tensor<bool, [2, 3]> others = greater(x = j, y = int32(2));
    tensor<fp32, [2, 4, 3]> turned = transpose(x = rows, perm = tensor<int32, [3]>([0, 2, 1]));
    tensor<fp32, [2, 5, 4]> upright = transpose(x = columns, perm = tensor<int32, [3]>([0, 2, 1]));
    tensor<fp32, [2, 4]> flat = slice_by_index(x = kernel, begin = tensor<int32, [4]>([0, 0, 0, 0]), end = tensor<int32, [4]>([2, 4, 1, 1]), squeeze_mask = tensor<bool, [4]>([false, false, true, true]));
    tensor<int32, [2, 3]> zeros = sub(x = i, y = i);
    tensor<int32, [?, 2]> nowhere = non_zero(x = zeros);
    tensor<int32, [2]> places = shape(x = nowhere);
    tensor<int32, [1]> found = slice_by_size(x = places, begin = tensor<int32, [1]>([0]), size = tensor<int32, [1]>([1]));
    tensor<fp32, [?]> nothing = fill(shape = found, value = fp32(0));
    int32 one = const()[val = int32(1)];
    tensor<fp32, [4]> variances = square(x = channels);
    tensor<fp32, [2, 3]> halves = const()[val = tensor<fp32, [2, 3]>([[-2.5, -1.5, -0.5], [0.5, 1.5, 1.6]])];
    tensor<fp32, [2, 3]> big = const()[val = tensor<fp32, [2, 3]>([[-3, 0, 1], [5, 6, 9]])];
    tensor<fp32, [1, 8, 1, 1]> deep = const()[val = tensor<fp32, [1, 8, 1, 1]>([[[[0]], [[1]], [[2]], [[3]], [[4]], [[5]], [[6]], [[7]]]])];
    tensor<fp32, [1, 2, 2, 2]> flat_deep = reshape(x = deep, shape = tensor<int32, [4]>([1, 2, 2, 2]));`;
  const lines = cases.map(({ operation, parameters, types }, number) => {
    const declared = types.map((type, part) => `${typeText(type)} y${number}_${part}`).join(', ');
    return `${declared} = ${operation}(${parameters});`;
  });
  const outputs = cases.flatMap(({ types }, number) => types.map((_, part) => `y${number}_${part}`));
  results = await runProgram(at('all.mlpackage'), {
    inputs,
    operations: prepared + lines.join('\n'),
    outputs,
  });
});

test.each(cases.map((each, number) => ({ ...each, number })))(
  '$operation($parameters) is what plain loops give',
  ({ types, expected, number }) => {
    for (const [part, type] of types.entries()) {
      const result = results.get(`y${number}_${part}`);
      if (!result) throw new Error('it was not computed');
      const shape = type.slice(type.indexOf('[')).replaceAll('?', String(result.shape[0]));
      expect(`[${result.shape.join(', ')}]`).toBe(shape);
      const found = Array.from(numbersOf(result), Number);
      const wanted = expected[part] ?? [];
      expect(found.length).toBe(wanted.length);
      // A few float32 roundings, 6e-8 each; measured: 1.5e-6.
      for (const [index, value] of found.entries()) {
        const off = Math.abs(value - (wanted[index] ?? Number.NaN)) / (1 + Math.abs(value));
        expect(off, `element ${index}: ${value} instead of ${wanted[index]}`).toBeLessThan(5e-6);
      }
    }
  },
);

test('every operation that can be run is compared with plain loops', () => {
  const compared = new Set(cases.map(({ operation }) => operation));
  const known = [...Object.keys(computations), ...Object.keys(movements)];
  expect(known.filter((operation) => !compared.has(operation))).toEqual([]);
});

function one(operation: string, parameters: string, type: string, expected: readonly number[]): Case {
  return { operation, parameters, types: [type], expected: [expected] };
}

function several(
  operation: string,
  parameters: string,
  types: readonly string[],
  expected: readonly (readonly number[])[],
): Case {
  return { operation, parameters, types, expected };
}

function unary(
  operation: string,
  of: readonly number[],
  compute: (value: number) => number,
  name = 'x',
): Case {
  return one(operation, `x = ${name}`, 'fp32 [2, 3]', of.map(compute));
}

function binary(operation: string, compute: (a: number, b: number) => number): Case {
  return one(
    operation,
    'x = x, y = p',
    'fp32 [2, 3]',
    x.map((a, index) => compute(a, p[index] ?? 0)),
  );
}

function whole(operation: string, compute: (a: number, b: number) => number): Case {
  return one(
    operation,
    'x = i, y = j',
    'int32 [2, 3]',
    i.map((a, index) => compute(a, j[index] ?? 0)),
  );
}

function comparison(operation: string, compute: (a: number, b: number) => boolean): Case {
  return one(
    operation,
    'x = i, y = j',
    'bool [2, 3]',
    i.map((a, index) => Number(compute(a, j[index] ?? 0))),
  );
}

/** Over the rows of a value [2,3], which go. */
function reduction(operation: string, compute: (row: number[]) => number, name = 'x', of = x): Case {
  const parameters = `x = ${name}, axes = tensor<int32, [1]>([-1]), keep_dims = bool(false)`;
  return one(operation, parameters, 'fp32 [2]', [compute(of.slice(0, 3)), compute(of.slice(3))]);
}

/** `fp32 [2, ?]` as a program's text has it. */
function typeText(type: string): string {
  const [dtype, shape] = type.split(/ (?=\[)/);
  return `tensor<${dtype}, ${shape}>`;
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}

/** By its series, which float64 carries this far. */
function erf(value: number): number {
  let [term, total] = [value, value];
  for (let n = 1; n < 100; n++) {
    term *= -(value * value) / n;
    total += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * total;
}

/** The number of a channel at a place in an image of nine pixels. */
function channel(values: readonly number[], index: number): number {
  return values[Math.floor(index / 9) % values.length] ?? 0;
}

/** Softmaxes and the like along the axis of 3 in `rows`. */
function alongMiddle(compute: (values: number[]) => number[]): number[] {
  return rows.map((_, index) => {
    const [batch, row, column] = [Math.floor(index / 12), Math.floor(index / 4) % 3, index % 4];
    const values = [0, 1, 2].map((each) => rows[batch * 12 + each * 4 + column] ?? 0);
    return compute(values)[row] ?? 0;
  });
}

/** `rows` [2,3,4] times `columns` [2,4,5]. */
function product(): number[] {
  return Array.from({ length: 2 * 3 * 5 }, (_, index) => {
    const [batch, row, column] = [Math.floor(index / 15), Math.floor(index / 5) % 3, index % 5];
    return sum(
      [0, 1, 2, 3].map(
        (k) => (rows[batch * 12 + row * 4 + k] ?? 0) * (columns[batch * 20 + k * 5 + column] ?? 0),
      ),
    );
  });
}

/** `rows` times the first element of each of the 2 × 4 kernels, transposed. */
function linear(summand: readonly number[]): number[] {
  return Array.from({ length: 2 * 3 * 2 }, (_, index) => {
    const [row, out] = [Math.floor(index / 2), index % 2];
    return (
      sum([0, 1, 2, 3].map((k) => (rows[row * 4 + k] ?? 0) * (kernel[(out * 4 + k) * 4] ?? 0))) +
      (summand[out] ?? 0)
    );
  });
}

/** Every row of `rows` looks at all three. */
function attention(mask: (query: number, key: number) => number): number[] {
  const row = (batch: number, at: number) => rows.slice(batch * 12 + at * 4, batch * 12 + at * 4 + 4);
  return [0, 1].flatMap((batch) =>
    [0, 1, 2].flatMap((query) => {
      const scores = [0, 1, 2].map((key) => {
        const dot = sum(row(batch, query).map((value, at) => value * (row(batch, key)[at] ?? 0)));
        return Math.exp(dot / 2 + mask(query, key));
      });
      return [0, 1, 2, 3].map((column) =>
        sum(scores.map((score, key) => (score / sum(scores)) * (row(batch, key)[column] ?? 0))),
      );
    }),
  );
}

/** `image` [1,4,3,3] under `kernel` [2,4,2,2]; pixels outside are 0. */
function conv(how: {
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly before: readonly number[];
  readonly size: readonly number[];
  readonly bias: readonly number[];
}): number[] {
  const [height = 0, width = 0] = how.size;
  const pixel = (c: number, row: number, column: number): number =>
    row < 0 || row > 2 || column < 0 || column > 2 ? 0 : (image[c * 9 + row * 3 + column] ?? 0);
  const place = (axis: number, out: number, tap: number): number =>
    out * (how.stride[axis] ?? 1) + tap * (how.dilation[axis] ?? 1) - (how.before[axis] ?? 0);
  return Array.from({ length: 2 * height * width }, (_, index) => {
    const out = Math.floor(index / (height * width));
    const [row, column] = [Math.floor(index / width) % height, index % width];
    const taps = Array.from({ length: 16 }, (_each, tap) => {
      const [c, down, right] = [Math.floor(tap / 4), Math.floor(tap / 2) % 2, tap % 2];
      return pixel(c, place(0, row, down), place(1, column, right)) * (kernel[out * 16 + tap] ?? 0);
    });
    return sum(taps) + (how.bias[out] ?? 0);
  });
}

/** `image` with mean 0 and variance 1 over the places of each group; `affine` is gamma and beta of each channel. */
function normalised(
  groupOf: (index: number) => number,
  epsilon: number,
  affine?: readonly number[],
): number[] {
  return image.map((value, index) => {
    const group = image.filter((_, each) => groupOf(each) === groupOf(index));
    const mean = sum(group) / group.length;
    const variance = sum(group.map((each) => (each - mean) ** 2)) / group.length;
    const normed = (value - mean) / Math.sqrt(variance + epsilon);
    return affine ? normed * channel(affine, index) + channel(affine, index) : normed;
  });
}

function upsampled(high: number, wide: number): number[] {
  return Array.from({ length: 4 * 3 * high * 3 * wide }, (_, index) => {
    const [c, row, column] = [
      Math.floor(index / (9 * high * wide)),
      Math.floor(index / (3 * wide)) % (3 * high),
      index % (3 * wide),
    ];
    return image[c * 9 + Math.floor(row / high) * 3 + Math.floor(column / wide)] ?? 0;
  });
}

/** All outputs, the last one and the last cell; gates in Core ML's order: input, forget, output, cell. */
function lstm(biases: readonly number[]): number[][] {
  let [h, c] = [state, state];
  const all: number[] = [];
  for (const step of [0, 1, 2]) {
    const sums = biases.map(
      (summand, row) =>
        summand +
        sum(
          [0, 1].map(
            (k) =>
              (gates[row * 2 + k] ?? 0) * (sequence[step * 2 + k] ?? 0) +
              (recurrent[row * 2 + k] ?? 0) * (h[k] ?? 0),
          ),
        ),
    );
    const gate = (number: number, unit: number): number => sums[number * 2 + unit] ?? 0;
    c = c.map(
      (cell, unit) => sigmoid(gate(1, unit)) * cell + sigmoid(gate(0, unit)) * Math.tanh(gate(3, unit)),
    );
    h = c.map((cell, unit) => sigmoid(gate(2, unit)) * Math.tanh(cell));
    all.push(...h);
  }
  return [all, h, c];
}

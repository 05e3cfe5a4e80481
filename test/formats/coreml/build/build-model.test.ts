import { expect, test } from 'vitest';
import { buildCoreMl } from '../../../../src/formats/coreml/build/build-model.ts';
import { verifyProgram } from '../../../../src/formats/coreml/mil/verify-program.ts';
import { symbol } from '../../../../src/graph/dim.ts';
import { add, cast, concat, mul, reshape, scale, silu, softmax } from '../../../../src/graph/functions.ts';
import { GraphBuilder } from '../../../../src/graph/graph.ts';
import type { TensorType } from '../../../../src/graph/tensor.ts';
import { blockOf, graphOf, someDescription, unreadWeight, writtenForm } from '../written-form.ts';

const x: TensorType = { dtype: 'f32', shape: [2, 4] };

test('values have the names of the checkpoint, as identifiers', () => {
  const graph = graphOf({ x }, ({ x }, builder) => {
    const weight = builder.weight(unreadWeight('down_blocks.0.norm.weight', [4]), {
      dtype: 'f32',
      shape: [4],
    });
    const normed = builder.apply(
      { kind: 'layer_norm', axis: 1, epsilon: 1e-5 },
      [x, weight, weight],
      'down_blocks.0.norm',
    );
    return add(silu(normed), x);
  });
  expect(blockOf(graph).operations.map(({ outputs }) => outputs[0]?.name)).toEqual([
    'down_blocks_0_norm_weight',
    'axes',
    'epsilon',
    'down_blocks_0_norm',
    'down_blocks_0_norm_silu',
    'y',
  ]);
});

test('names that would meet as identifiers are told apart, and words of the language are avoided', () => {
  const names = ['a.b', 'a/b', 'a_b', '0.conv', 'tensor', 'fp16', 'y'];
  const graph = graphOf({ x }, ({ x }, builder) =>
    names.reduce((h, name) => builder.apply({ kind: 'silu' }, [h], name), add(x, x)),
  );
  expect(blockOf(graph).operations.map(({ outputs }) => outputs[0]?.name)).toEqual([
    'x_add',
    'a_b',
    'a_b_1',
    'a_b_2',
    'var_0_conv',
    'var_tensor',
    'var_fp16',
    'y',
  ]);
});

test('every operation bears the name of its value', () => {
  const operations = blockOf(graphOf({ x }, ({ x }) => softmax(scale(x, 0.5), 1))).operations;
  const names = operations.map(
    ({ attributes }) => attributes.name?.immediateValue?.tensor?.strings?.values[0],
  );
  expect(names).toEqual(operations.map(({ outputs }) => outputs[0]?.name));
});

test('a constant stands right before what reads it first, once', () => {
  const graph = graphOf({ x }, ({ x }) => softmax(silu(softmax(silu(scale(x, 0.5)), 1)), 1));
  expect(blockOf(graph).operations.map(({ type }) => type)).toEqual([
    'const',
    'mul',
    'silu',
    'const',
    'softmax',
    'silu',
    'softmax',
  ]);
});

test('equal values of different parameters are different constants', () => {
  const pads = { top: 1, left: 1, bottom: 1, right: 1 };
  const graph = graphOf({ x: { dtype: 'f16', shape: [1, 2, 4, 4] } }, ({ x }, builder) => {
    const weight = builder.weight(unreadWeight('w', [2, 2, 3, 3]), { dtype: 'f16', shape: [2, 2, 3, 3] });
    return builder.apply({ kind: 'conv2d', stride: 1, pads }, [x, weight]);
  });
  expect(blockOf(graph).operations.map(({ outputs }) => outputs[0]?.name)).toEqual([
    'w',
    'strides',
    'pad_type',
    'pad',
    'dilations',
    'groups',
    'y',
  ]);
});

test('ten fractions lie in the weight file, nine in the program, integers always in the program', () => {
  const graph = graphOf({ x: { dtype: 'f16', shape: [12] } }, ({ x }, builder) => {
    const constants = [9, 10].map((n) =>
      builder.constant(new Float32Array(n).fill(1.5), [n], `of_${n}`, 'f16'),
    );
    const sums = constants.map((constant) => add(constant, constant));
    return reshape(concat([...sums, x], 0), [31, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
  });
  const constants = blockOf(graph).operations.filter(({ type }) => type === 'const');
  expect(
    constants.map(({ outputs, attributes }) => [outputs[0]?.name, attributes.val?.blobFileValue?.offset]),
  ).toEqual([
    ['of_9', undefined],
    ['of_10', 64],
    ['axis', undefined],
    ['interleave', undefined],
    ['shape', undefined],
  ]);
});

test('an output that is an input, or a second name of another, is an operation of its own', () => {
  const builder = new GraphBuilder();
  const input = builder.input('x', x);
  const h = silu(input);
  const graph = builder.finish([
    { name: 'same', tensor: input },
    { name: 'first', tensor: h },
    { name: 'second', tensor: h },
    { name: 'last', tensor: mul(h, h) },
  ]);
  expect(writtenForm(graph).split('\n')).toEqual([
    'first = silu(x=x): fp32 [2, 4]',
    'last = mul(x=first, y=first): fp32 [2, 4]',
    'same = identity(x=x): fp32 [2, 4]',
    'second = identity(x=first): fp32 [2, 4]',
  ]);
  expect(blockOf(graph).outputs).toEqual(['same', 'first', 'second', 'last']);
});

test.each([
  ['macOS13', 'CoreML6', 7],
  ['macOS14', 'CoreML7', 8],
  ['macOS15', 'CoreML8', 9],
] as const)(
  'a package for %s is of operation set %s and specification version %d',
  (target, opset, version) => {
    const model = buildCoreMl(
      graphOf({ x }, ({ x }) => silu(x)),
      { target, description: someDescription },
    );
    expect(model.specificationVersion).toBe(version);
    expect(model.mlProgram?.functions.main?.opset).toBe(opset);
    expect(Object.keys(model.mlProgram?.functions.main?.block_specializations ?? {})).toEqual([opset]);
  },
);

test('the description tells names, order, shapes, dtypes and texts of inputs and outputs', () => {
  const builder = new GraphBuilder();
  const b = builder.input('b', { dtype: 'f16', shape: [1, 2] });
  const a = builder.input('a', { dtype: 'i32', shape: [3] });
  const graph = builder.finish([
    { name: 'z', tensor: cast(b, 'f32') },
    { name: 'i', tensor: add(a, a) },
  ]);
  const description = {
    ...someDescription,
    features: { b: 'the second letter' },
    userDefined: { key: 'value' },
  };
  const model = buildCoreMl(graph, { target: 'macOS13', description });
  const feature = (name: string, shape: number[], dataType: number, shortDescription = '') => ({
    name,
    shortDescription,
    type: { multiArrayType: { shape, dataType }, isOptional: false },
  });
  expect(model.description?.input).toEqual([
    feature('b', [1, 2], 65552, 'the second letter'),
    feature('a', [3], 131104),
  ]);
  expect(model.description?.output).toEqual([feature('z', [1, 2], 65568), feature('i', [3], 131104)]);
  expect(model.description?.metadata).toEqual({
    shortDescription: 'A test',
    versionString: '1',
    author: 'nobody',
    license: 'none',
    userDefined: { key: 'value' },
  });
});

test('a program passes the check that programs of others must pass', () => {
  const model = buildCoreMl(
    graphOf({ x }, ({ x }) => softmax(scale(x, 0.1), 1)),
    { target: 'macOS13', description: someDescription },
  );
  if (!model.mlProgram) throw new Error('there is no program');
  verifyProgram(model.mlProgram, 'memory');
});

test('a graph with free sizes, which Core ML packages do not have here, is our bug', () => {
  const graph = graphOf({ x: { dtype: 'f16', shape: [symbol('batch'), 4] } }, ({ x }) => silu(x));
  expect(() => blockOf(graph)).toThrow('x/silu has a size that is not fixed');
});

import { beforeEach, expect, test } from 'vitest';
import { UnsupportedModelError } from '../../../../src/errors.ts';
import { coreAiModel } from '../../../../src/formats/coreai/model.ts';
import type { Operation, Program, TensorType, Value } from '../../../../src/formats/coreai/program.ts';
import type { NonFiniteValue, RunnerOptions } from '../../../../src/formats/runner.ts';
import { writeFiles } from '../../../../src/formats/write-files.ts';
import { openRunner } from '../../../../src/run/open-runner.ts';
import { numbersOf } from '../../../../src/weights/tensor-values.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { rejectionOf } from '../../../support/thrown-by.ts';
import { operation, programOf, tensor, weight } from '../small-programs.ts';

const at = temporaryFolder();
let count = 0;
let place = '';
beforeEach(() => {
  place = at(`${++count}.aimodel`);
});

/** Runs a program that takes x [n…] and gives y. */
async function run(
  program: Program,
  shape: readonly number[],
  numbers: readonly number[],
  options: Partial<RunnerOptions> = {},
): Promise<number[]> {
  const model = coreAiModel({ program, metadata: {} }, { network: 'unet', whole: 'unet' });
  await writeFiles(place, await model.contents(), () => {});
  const runner = await openRunner(place, { optimize: false, ...options });
  try {
    const x = { dtype: 'f32', shape, data: Float32Array.from(numbers) } as const;
    const y = (await runner.run(new Map([['x', x]]))).get('y');
    if (!y) throw new Error('y was not computed');
    return Array.from(numbersOf(y));
  } finally {
    await runner.close();
  }
}

function ofX(x: Value, operations: readonly Operation[]): Program {
  const outputs = operations.at(-1)?.results.map((value) => ({ name: 'y', value })) ?? [];
  return programOf(operations, [{ name: 'x', value: x }], outputs);
}

function numbers(
  element: 'f32' | 'i32' | 'f16',
  shape: readonly number[],
  ...of: readonly number[]
): Operation {
  const bytes =
    element === 'f16'
      ? Uint16Array.from(of)
      : element === 'i32'
        ? Int32Array.from(of)
        : Float32Array.from(of);
  return operation('primitive.constant_v1', [], [{ type: tensor(element, ...shape) }], {
    properties: [{ kind: 'tensor', bytes: new Uint8Array(bytes.buffer), splat: false }],
  });
}

function resultOf({ results: [value] }: Operation): Value {
  if (!value) throw new Error('it gives nothing');
  return value;
}

const row = tensor('f32', 3);

/** x + x as a composite operation of a name that nobody knows. */
function doubled(x: Value): Operation {
  const inner = { type: x.type };
  const sum = operation('primitive.add_v1', [inner, inner], [{ type: x.type }]);
  const region = { arguments: [inner], operations: [sum, operation('dataflow.yield_v1', sum.results, [])] };
  return operation('twofold_v7', [x], [{ type: x.type }], { regions: [region] });
}

test('a composite operation that is not known is computed as it decomposes', async () => {
  const x = { type: row };
  const once = doubled(x);
  expect(await run(ofX(x, [once, doubled(resultOf(once))]), [3], [1, 2, -3])).toEqual([4, 8, -12]);
});

test('a function that is called twice computes what each call gives it', async () => {
  const inner = { type: row };
  const square = operation('primitive.mul_v1', [inner, inner], [{ type: row }]);
  const call = (operand: Value): Operation =>
    operation('dataflow.invoke_v1', [operand], [{ type: row }], {
      properties: [
        { kind: 'array', items: [] },
        { kind: 'parameter', value: { kind: 'symbol', path: ['square'] }, type: { kind: 'symbol' } },
        { kind: 'array', items: [] },
      ],
    });
  const x = { type: row };
  const first = call(x);
  const main = ofX(x, [first, call(resultOf(first))]);
  const squared = {
    name: 'square',
    isPublic: false,
    inputs: [{ value: inner }],
    outputs: [{ value: resultOf(square) }],
    operations: [square],
  };
  const program = { ...main, graphs: [squared, ...main.graphs] };
  expect(await run(program, [3], [1, 2, -3])).toEqual([1, 16, 81]);
});

test.each(['tensor', 'resource'] as const)('whole numbers of 64 bits are read: from a %s', async (place) => {
  const x = { type: row };
  const bytes = new Uint8Array(BigInt64Array.of(1n, -(2n ** 40n), 3n).buffer);
  const type = tensor('i64', 3);
  const whole =
    place === 'tensor'
      ? operation('primitive.constant_v1', [], [{ type }], {
          properties: [{ kind: 'tensor', bytes, splat: false }],
        })
      : weight('steps', type, bytes);
  const fractions = operation('primitive.cast_v1', whole.results, [{ type: row }]);
  const sum = operation('primitive.add_v1', [x, resultOf(fractions)], [{ type: row }]);
  expect(await run(ofX(x, [whole, fractions, sum]), [3], [1, 0, 2])).toEqual([2, -(2 ** 40), 5]);
});

test('pictures are enlarged as Apple’s exporter writes it', async () => {
  const x = { type: tensor('f32', 1, 1, 1, 2) };
  const parts = [
    numbers('i32', [4], 1, 1, 2, 4),
    numbers('f32', [4], 1, 1, 2, 2),
    numbers('f32', [4], 0, 0, 0, 0),
  ];
  const larger = operation(
    'primitive.interpolate_v1',
    [x, ...parts.map(resultOf)],
    [{ type: tensor('f32', 1, 1, 2, 4) }],
    {
      properties: [{ kind: 'choice', of: 'interpolation', value: 1 }],
    },
  );
  expect(await run(ofX(x, [...parts, larger]), [1, 1, 1, 2], [5, 7])).toEqual([5, 5, 7, 7, 5, 5, 7, 7]);
});

test('an overflow of float16 is reported where it happens', async () => {
  const half = tensor('f16', 3);
  const x = { type: half };
  const [large, small] = [numbers('f16', [], 0x7bff), numbers('f16', [], 0)]; // 65504 and 0
  const product = operation('broadcasting_mul_v1', [x, resultOf(large)], [{ type: half }]);
  const after = operation('broadcasting_mul_v1', [resultOf(product), resultOf(small)], [{ type: half }]);
  const found: NonFiniteValue[] = [];
  const options = { roundToFloat16: true, onNonFinite: (value: NonFiniteValue) => found.push(value) };
  await run(ofX(x, [large, small, product, after]), [3], [1, 2, 3], options);
  expect(found).toMatchObject([{ path: place, operation: 'broadcasting_mul', value: 'broadcasting_mul' }]);
});

/** A constant whose number stands for all, or whose bytes are given. */
function constantOf(type: TensorType, bytes: Uint8Array, splat = false): Operation {
  const properties = [{ kind: 'tensor', bytes, splat } as const];
  return operation('primitive.constant_v1', [], [{ type }], { properties });
}

test('a number that stands for many is spread out where it is computed with', async () => {
  const type = tensor('f32', 100_000);
  const many = constantOf(type, new Uint8Array(Float32Array.of(2).buffer), true);
  const x = { type: tensor('f32', 1) };
  const product = operation('broadcasting_mul_v1', [x, resultOf(many)], [{ type }]);
  const found = await run(ofX(x, [many, product]), [1], [3]);
  expect(found).toHaveLength(100_000);
  expect(new Set(found)).toEqual(new Set([6]));
});

/** The refusal to run a program. */
async function refusal(program: Program): Promise<Error> {
  const error = await rejectionOf(run(program, [1], [1]));
  expect(error).toBeInstanceOf(UnsupportedModelError);
  return error;
}

test('an axis that is a fraction is refused', async () => {
  const x = { type: tensor('f32', 1) };
  const axis = numbers('f32', [1], 0.5);
  const sum = operation('reduce_sum_v1', [x, resultOf(axis)], [{ type: x.type }]);
  expect((await refusal(ofX(x, [axis, sum]))).message).toContain('operand 1 is not of whole numbers');
});

test('constants of the same bytes are not repeated without end', async () => {
  const x = { type: tensor('f32', 1) };
  const axis = numbers('i32', [], 0);
  const bytes = new Uint8Array(10_000);
  const all = Array.from({ length: 300 }, () => constantOf(tensor('i8', 10_000), bytes));
  const joined = operation('primitive.concat_v1', [axis, ...all].map(resultOf), [
    { type: tensor('i8', 3_000_000) },
  ]);
  const error = await refusal(ofX(x, [axis, ...all, joined]));
  expect(error.message).toContain('its constants have more than 2,097,152 numbers');
});

test('functions that read much are not called without end', async () => {
  const inner = { type: tensor('f32', 1) };
  const sum = operation('primitive.add_v1', Array(5000).fill(inner), [{ type: tensor('f32', 5000) }]);
  const x = { type: tensor('f32', 1) };
  const call = () =>
    operation('dataflow.invoke_v1', [x], [{ type: tensor('f32', 5000) }], {
      properties: [
        { kind: 'array', items: [] },
        { kind: 'parameter', value: { kind: 'symbol', path: ['long'] }, type: { kind: 'symbol' } },
        { kind: 'array', items: [] },
      ],
    });
  const main = ofX(x, Array.from({ length: 100 }, call));
  const long = {
    name: 'long',
    isPublic: false,
    inputs: [{ value: inner }],
    outputs: [{ value: resultOf(sum) }],
    operations: [sum],
  };
  const error = await refusal({ ...main, graphs: [long, ...main.graphs] });
  expect(error.message).toContain('call each other too often');
});
